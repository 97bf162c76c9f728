"""The inference loop: one frame at a time, fairly over cameras."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from shopfloor_contracts.alerts import AlertData, AlertState
from shopfloor_contracts.events import CameraStatus, EventData, source_of
from shopfloor_contracts.site import SiteFile
from shopfloor_edge.analytics.lines import Crossing
from shopfloor_edge.cameras.mailbox import Bell
from shopfloor_edge.cameras.ports import Frame
from shopfloor_edge.cameras.supervisor import CameraSupervisor
from shopfloor_edge.inference.ports import InferenceBackend
from shopfloor_edge.journal.outbox import Draft
from shopfloor_edge.journal.state import CameraRow
from shopfloor_edge.vision.alerts import SiteAlerts
from shopfloor_edge.vision.attempt import AttemptWatch
from shopfloor_edge.vision.clock import Clock, OffsetWatch
from shopfloor_edge.vision.metrics import CameraFigures, Fate, VisionMetrics
from shopfloor_edge.vision.recorder import Recorder
from shopfloor_edge.vision.scheduler import FairScheduler, LoadMeter
from shopfloor_edge.vision.watch import CameraWatch, Look
from shopfloor_edge.watchdog import Watchdog

log = logging.getLogger(__name__)

STATE_EVERY_S = 0.5
FAILURES_MAX = 50
"""Frames in a row that could not be looked at: the fault is not theirs, and the process ends."""
OnCrossing = Callable[[str, Crossing], None]
"""Told the camera and the crossing, as it is counted."""


@dataclass(slots=True)
class Station:
    """One camera: who brings its frames, and what is made of them."""

    supervisor: CameraSupervisor
    watch: CameraWatch
    backend: InferenceBackend | None = None
    """Of this camera alone; None for the one that all share."""
    fps: float = 0.0
    frames_before: int = 0
    gated_before: int = 0
    looked_at_s: float | None = None
    """Monotonic."""

    @property
    def name(self) -> str:
        """The camera's."""
        return self.watch.spec.name

    @property
    def looked(self) -> int:
        """Frames inferred or gated."""
        return self.watch.totals.frames + self.watch.totals.gated

    @property
    def fault(self) -> str:
        """What is wrong with the camera or its picture, in words; empty where nothing is."""
        report = self.supervisor.report
        if report.status is CameraStatus.LIVE:
            return self.watch.health.reason
        if report.status is CameraStatus.ENDED:
            return ""
        return report.reason or f"the camera is {report.status}"


class InferenceLoop:
    """Runs until stopped, or until every camera is a file that is over."""

    def __init__(  # noqa: PLR0913 — everything that the process is made of
        self,
        site: SiteFile,
        stations: Sequence[Station],
        *,
        backend: InferenceBackend,
        recorder: Recorder,
        bell: Bell,
        metrics: VisionMetrics | None = None,
        clock: Clock | None = None,
        attempt: AttemptWatch | None = None,
    ) -> None:
        self._attempt, self.superseded = attempt, False
        self._watchdog = Watchdog()
        self._site, self._stations, self._backend = site, stations, backend
        self._recorder, self._bell = recorder, bell
        self._clock = clock or Clock()
        self._metrics = metrics or VisionMetrics([station.name for station in stations])
        self._alerts = SiteAlerts(site)
        self._offset = OffsetWatch(self._clock)
        self._scheduler = FairScheduler([station.watch.spec.fps for station in stations])
        self._meter = LoadMeter()
        self._failures = 0
        self._described_at_s = self._clock.monotonic()

    def run(self, stop: threading.Event, on_crossing: OnCrossing) -> None:
        """Look at frames as they come; ``superseded`` tells whether another release ended it."""
        now_s = self._clock.wall()
        for station in self._stations:
            if not station.supervisor.is_file:
                station.watch.begin(now_s)
            # A camera that never gives has had no frame since now.
            station.looked_at_s = self._clock.monotonic()
            station.supervisor.start()
        self._describe()
        while not stop.is_set() and not self.superseded:
            over = all(station.supervisor.finished for station in self._stations)
            self._follow_clock()
            busy = self._serve(on_crossing)
            self._settle()
            self._watchdog.alive(self._clock.monotonic())
            self.superseded = self._attempt is not None and self._attempt.tick()
            if not busy:
                if over:
                    break
                self._bell.wait(0.1)
        for station in self._stations:
            station.supervisor.stop()
            self._record(station, station.watch.close())
        self._describe()

    def _serve(self, on_crossing: OnCrossing) -> bool:
        """Look at the frame whose turn it is; return whether there was one."""
        waiting = [n for n, s in enumerate(self._stations) if s.supervisor.mailbox.waiting]
        turn = self._scheduler.pick(waiting)
        if turn is None:
            return False
        station = self._stations[turn]
        frame = station.supervisor.mailbox.take()
        if frame is None:
            return False
        look = self._look(station, frame)
        if self._attempt is not None and look.fate is Fate.INFERRED:
            self._attempt.saw(station, frame, look)
        if self._attempt is not None and look.fate is Fate.FAILED:
            self._attempt.failed()
        if look.fate is not Fate.GATED:
            self._scheduler.served(turn)
        if look.aggregates:
            self._record(station, look.aggregates)
        for crossing in look.crossings:
            on_crossing(station.name, crossing)
        if look.facts is not None:
            now = datetime.fromtimestamp(look.at_s, UTC)
            self._alert(station, self._alerts.update(now, look.facts), frame.at_s)
        self._note(station, frame, look)
        return True

    def _look(self, station: Station, frame: Frame) -> Look:
        try:
            look = station.watch.look(frame, station.backend or self._backend)
        except Exception:
            # Decoders and runtimes raise classes of their own, and one camera's bad frame is no
            # reason to stop the others.
            station.watch.fail()
            self._failures += 1
            if self._failures > FAILURES_MAX:
                raise
            if self._failures == 1:
                log.exception("frame not looked at", extra={"camera": station.name})
            return Look(Fate.FAILED, [])
        self._failures = 0
        return look

    def _note(self, station: Station, frame: Frame, look: Look) -> None:
        now_s = self._clock.monotonic()
        station.looked_at_s = now_s
        self._metrics.looked(
            station.name,
            look.fate,
            inference_s=look.inference_s,
            crossings=len(look.crossings),
        )
        if not station.supervisor.is_file:
            self._metrics.latency(station.name, now_s - frame.at_s)

    def _alert(self, station: Station, alerts: Sequence[AlertData], at_s: float | None) -> None:
        """Record alerts, and keep what led to them.

        Args:
            at_s: of the frame that they are about; None where no frame told it.
        """
        if not alerts:
            return
        self._record(station, list(alerts))
        for alert in alerts:
            fields = {"camera": station.name, "rule": alert.rule, "state": alert.state}
            log.info("alert", extra=fields)
            clips = station.watch.clips
            if alert.state is AlertState.RAISED and clips is not None and at_s is not None:
                name = f"{alert.at:%Y%m%dT%H%M%S}-{station.name}-{alert.rule}"
                clips.keep(name, at_s, alert=str(alert.alert_id))

    def _follow_clock(self) -> None:
        """End live cameras' windows early when somebody set the clock."""
        step_s = self._offset.step_s()
        if step_s is None:
            return
        log.warning("the clock was set, open windows end early", extra={"step_s": round(step_s, 3)})
        for station in self._stations:
            if not station.supervisor.is_file:
                now_s = self._clock.wall()
                self._record(station, station.watch.set_clock(self._offset.offset_s, now_s))

    def _settle(self) -> None:
        if self._clock.monotonic() - self._described_at_s < STATE_EVERY_S:
            return
        now = datetime.fromtimestamp(self._clock.wall(), UTC)
        for station in self._stations:
            if not station.supervisor.is_file:
                self._record(station, station.watch.settle(now.timestamp()))
            self._alert(station, self._alerts.camera(now, station.name, station.fault), None)
        self._describe()

    def _record(self, station: Station, aggregates: list[EventData]) -> None:
        if aggregates:
            source = source_of(self._site.site, self._site.device, station.name)
            now = datetime.now(UTC)
            self._recorder.record([Draft(data, source, now) for data in aggregates])

    def _describe(self) -> None:
        now_s = self._clock.monotonic()
        elapsed_s = max(1e-3, now_s - self._described_at_s)
        self._described_at_s = now_s
        self._weigh(now_s)
        ratio = self._meter.load.ratio
        self._metrics.describe([_figures(s, now_s) for s in self._stations], load_ratio=ratio)
        rows = [_row(s, elapsed_s, ratio, self._clock.wall()) for s in self._stations]
        self._recorder.describe(rows)

    def _weigh(self, now_s: float) -> None:
        """Say when the process falls behind, and when it no longer does."""
        changed = self._meter.update(
            now_s,
            taken=sum(station.looked for station in self._stations),
            shed=sum(station.supervisor.mailbox.shed for station in self._stations),
        )
        if not changed:
            return
        load = self._meter.load
        fields = {"load_ratio": round(load.ratio, 3)}
        if load.overloaded:
            log.warning("overloaded, every camera is slowed evenly", extra=fields)
        else:
            log.info("no longer overloaded", extra=fields)


def _figures(station: Station, now_s: float) -> CameraFigures:
    report, mailbox, totals = station.supervisor.report, station.supervisor.mailbox, station.watch
    gated = totals.totals.gated - station.gated_before
    looked = gated + totals.totals.frames - station.frames_before
    return CameraFigures(
        camera=station.name,
        status=report.status,
        connects=report.connects,
        fallbacks=report.fallbacks,
        flaps=report.flaps,
        usable=station.watch.health.usable,
        shed=mailbox.shed,
        waiting=int(mailbox.waiting),
        gated_ratio=gated / looked if looked else 0.0,
        frame_age_s=now_s - station.looked_at_s if station.looked_at_s is not None else 0.0,
    )


def _row(station: Station, elapsed_s: float, load_ratio: float, now_s: float) -> CameraRow:
    report, totals = station.supervisor.report, station.watch.totals
    rate = (totals.frames - station.frames_before) / elapsed_s
    # Half a second holds few frames: smooth what people look at.
    station.fps = rate if station.fps == 0.0 else 0.7 * station.fps + 0.3 * rate
    station.frames_before, station.gated_before = totals.frames, totals.gated
    live = report.status is CameraStatus.LIVE
    return CameraRow(
        camera=station.name,
        status=report.status,
        reason=(station.fault or report.reason)[:200],
        fps=round(station.fps, 2) if live else 0.0,
        people=totals.people if live else 0,
        crossings_in=totals.crossings_in,
        crossings_out=totals.crossings_out,
        frames=totals.frames,
        shed=station.supervisor.mailbox.shed,
        video_bytes=report.video_bytes,
        first_count_at=totals.first_count_at,
        updated_at=now_s,
        gated=totals.gated,
        load_ratio=round(load_ratio, 3),
        inference_histogram=tuple(totals.inference_histogram),
        score_histogram=tuple(totals.score_histogram),
    )
