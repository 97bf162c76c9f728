"""The inference loop: one frame at a time, fairly over cameras."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from shopfloor_contracts.events import CameraStatus, EventData, source_of
from shopfloor_contracts.site import SiteFile
from shopfloor_edge.analytics.lines import Crossing
from shopfloor_edge.cameras.mailbox import Bell
from shopfloor_edge.cameras.supervisor import CameraSupervisor
from shopfloor_edge.inference.ports import InferenceBackend
from shopfloor_edge.journal.outbox import Draft
from shopfloor_edge.journal.state import CameraRow
from shopfloor_edge.vision.recorder import Recorder
from shopfloor_edge.vision.watch import CameraWatch

STATE_EVERY_S = 0.5
OnCrossing = Callable[[str, Crossing], None]
"""Told the camera and the crossing, as it is counted."""


@dataclass(slots=True)
class Station:
    """One camera: who brings its frames, and what is made of them."""

    supervisor: CameraSupervisor
    watch: CameraWatch
    fps: float = 0.0
    frames_before: int = 0


class InferenceLoop:
    """Runs until stopped, or until every camera is a file that is over."""

    def __init__(
        self,
        site: SiteFile,
        stations: Sequence[Station],
        *,
        backend: InferenceBackend,
        recorder: Recorder,
        bell: Bell,
    ) -> None:
        self._site, self._stations, self._backend = site, stations, backend
        self._recorder, self._bell = recorder, bell
        self._described_at_s = time.monotonic()

    def run(self, stop: threading.Event, on_crossing: OnCrossing) -> None:
        """Look at frames as they come."""
        now_s = time.time()
        for station in self._stations:
            if not station.supervisor.is_file:
                station.watch.begin(now_s)
            station.supervisor.start()
        self._describe()
        while not stop.is_set():
            over = all(station.supervisor.finished for station in self._stations)
            seen = [self._serve(station, on_crossing) for station in self._stations]
            self._settle()
            if not any(seen):
                if over:
                    break
                self._bell.wait(0.1)
        for station in self._stations:
            station.supervisor.stop()
            self._record(station, station.watch.close())
        self._describe()

    def _serve(self, station: Station, on_crossing: OnCrossing) -> bool:
        """Look at one camera's waiting frame."""
        frame = station.supervisor.mailbox.take()
        if frame is None:
            return False
        self._record(station, station.watch.look(frame, self._backend))
        for crossing in station.watch.crossings:
            on_crossing(station.watch.spec.name, crossing)
        return True

    def _settle(self) -> None:
        if time.monotonic() - self._described_at_s < STATE_EVERY_S:
            return
        for station in self._stations:
            if not station.supervisor.is_file:
                self._record(station, station.watch.settle(time.time()))
        self._describe()

    def _record(self, station: Station, aggregates: list[EventData]) -> None:
        if aggregates:
            source = source_of(self._site.site, self._site.device, station.watch.spec.name)
            now = datetime.now(UTC)
            self._recorder.record([Draft(data, source, now) for data in aggregates])

    def _describe(self) -> None:
        now_s = time.monotonic()
        elapsed_s = max(1e-3, now_s - self._described_at_s)
        self._described_at_s = now_s
        self._recorder.describe([_row(station, elapsed_s) for station in self._stations])


def _row(station: Station, elapsed_s: float) -> CameraRow:
    report, totals = station.supervisor.report, station.watch.totals
    rate = (totals.frames - station.frames_before) / elapsed_s
    # Half a second holds few frames: smooth what people look at.
    station.fps = rate if station.fps == 0.0 else 0.7 * station.fps + 0.3 * rate
    station.frames_before = totals.frames
    live = report.status is CameraStatus.LIVE
    return CameraRow(
        camera=station.watch.spec.name,
        status=report.status,
        reason=report.reason,
        fps=round(station.fps, 2) if live else 0.0,
        people=totals.people if live else 0,
        crossings_in=totals.crossings_in,
        crossings_out=totals.crossings_out,
        frames=totals.frames,
        shed=station.supervisor.mailbox.shed,
        video_bytes=report.video_bytes,
        first_count_at=totals.first_count_at,
        updated_at=time.time(),
    )
