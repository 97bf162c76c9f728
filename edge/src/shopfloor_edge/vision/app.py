"""Composition root of the vision process."""

from __future__ import annotations

import json
import logging
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from shopfloor_contracts.bundles import Manifest
from shopfloor_contracts.events import CameraStatus
from shopfloor_contracts.site import CameraSpec, SiteFile
from shopfloor_edge.analytics.lines import Crossing
from shopfloor_edge.cameras.arenas import limit_arenas
from shopfloor_edge.cameras.choose import CameraOpener
from shopfloor_edge.cameras.mailbox import Bell
from shopfloor_edge.cameras.supervisor import CameraSupervisor
from shopfloor_edge.cameras.uris import Medium, medium_of
from shopfloor_edge.errors import JournalError
from shopfloor_edge.inference.choose import Chosen
from shopfloor_edge.journal.alertbook import keep_evidence
from shopfloor_edge.journal.database import connect
from shopfloor_edge.journal.trials import Trials
from shopfloor_edge.vision.attempt import AttemptWatch
from shopfloor_edge.vision.clips import Clip, ClipRing, ClipStore, ClipWriter
from shopfloor_edge.vision.clock import Clock
from shopfloor_edge.vision.evidence import SceneRecorder
from shopfloor_edge.vision.loop import InferenceLoop, OnCrossing, Station
from shopfloor_edge.vision.metrics import VisionMetrics
from shopfloor_edge.vision.pictures import FOLDER, LivePictures
from shopfloor_edge.vision.recorder import Recorder
from shopfloor_edge.vision.release import Releases, Running
from shopfloor_edge.vision.sampling import Sampling
from shopfloor_edge.vision.watch import CameraWatch

log = logging.getLogger(__name__)

EVIDENCE_FOLDER = "evidence"


@dataclass(frozen=True, slots=True)
class Outputs:
    """Files written at the end, each optional."""

    scene: Path | None = None
    report: Path | None = None
    crossings: Path | None = None
    """One JSON line per crossing: camera, line, direction, and the frame's time. Never sent."""


def run_vision(site: SiteFile, state: Path, outputs: Outputs) -> int:
    """Watch the site's cameras until SIGTERM, or until every one is a file that is over.

    An update ends a session, and the next one runs what the slots say then.

    Returns:
        The exit code: 2 when every camera is a file that cannot be read.

    Raises:
        OperatorError: the model cannot be used, or the port for metrics is taken.
        JournalError: the state folder cannot be written at the start.
    """
    limit_arenas()
    bell, releases, trials = Bell(), Releases(state), Trials(state)
    stop = _stop_on_signals(bell)
    try:
        while True:
            running = releases.take_up(site)
            attempt = AttemptWatch(running, releases, trials)
            try:
                code = _session(running, state, outputs, attempt, stop, bell)
            except BaseException:
                # Counted as a load that ended badly: nothing is taken back.
                attempt.write()
                raise
            attempt.close()
            if code is not None:
                return code
    finally:
        trials.close()


def _session(
    running: Running,
    state: Path,
    outputs: Outputs,
    attempt: AttemptWatch,
    stop: threading.Event,
    bell: Bell,
) -> int | None:
    """Run one release; return the exit code, or None where another is to be run."""
    site, manifest, chosen = running.site, running.model.manifest, running.model.chosen
    recorder = Recorder(
        state,
        max_rows=site.outbox.max_rows,
        max_bytes=site.outbox.max_bytes,
        clock=time.monotonic,
    )
    # A box around what moves leaves who stands still unmasked: no picture without a model.
    wants_scene = outputs.scene is not None and chosen.sees_still_people
    scene = SceneRecorder(site.cameras[0]) if wants_scene else None
    clips = _clip_writer(site, state)
    stations = [
        _station(
            site,
            spec,
            manifest,
            chosen,
            bell,
            Keepers(scene if number == 0 else None, clips, state / FOLDER),
        )
        for number, spec in enumerate(site.cameras)
    ]
    sampling = Sampling(site, state)
    for station in stations:
        sampling.attach(station.watch)
    started_s = time.monotonic()
    log.info("vision started", extra={"cameras": len(stations), "model": manifest.name})
    metrics = VisionMetrics([spec.name for spec in site.cameras])
    metrics.runs_on(chosen.name, chosen.precision, degraded=bool(chosen.degraded))
    loop = InferenceLoop(
        site,
        stations,
        backend=chosen.for_camera(),
        recorder=recorder,
        bell=bell,
        metrics=metrics,
        attempt=attempt,
    )
    with _served(metrics, site.metrics.port), _crossing_log(outputs.crossings) as on_crossing:
        loop.run(stop, on_crossing)
    if clips is not None:
        clips.close()
    sampling.close()
    lost = recorder.close()
    if loop.superseded and not stop.is_set():
        return None
    _write_outputs(
        outputs, stations, scene, chosen, recorder.committed, time.monotonic() - started_s
    )
    log.info("vision stopped", extra={"events": recorder.committed, "lost": lost})
    return _exit_code(stations) or (1 if lost else 0)


@dataclass(frozen=True, slots=True)
class Keepers:
    """Who keeps masked pictures of a camera, each optional."""

    scene: SceneRecorder | None
    clips: ClipWriter[Clip] | None
    pictures: Path
    """Folder of the live pictures."""


def _clip_writer(site: SiteFile, state: Path) -> ClipWriter[Clip] | None:
    if not site.evidence.enabled:
        return None
    store = ClipStore(state / EVIDENCE_FOLDER, site.evidence, clock=time.time)
    writer = ClipWriter(store, lambda clip, path: _say_where(state, clip, path))
    writer.start()
    return writer


def _say_where(state: Path, clip: Clip, path: Path) -> None:
    """Tell the alert book which clip shows its alerts."""
    try:
        connection = connect(state, durable=False)
        try:
            keep_evidence(connection, list(clip.alerts), str(path.relative_to(state)))
        finally:
            connection.close()
    except JournalError as e:
        log.warning("clip is kept, its alerts do not know", extra={"reason": str(e)})


def _station(
    site: SiteFile,
    spec: CameraSpec,
    manifest: Manifest,
    chosen: Chosen,
    bell: Bell,
    keepers: Keepers,
) -> Station:
    is_file = medium_of(spec.uri) in (Medium.FILE, Medium.UNKNOWN)
    # A background is learnt in its own time, from every frame; a recording has no lens to cover.
    spec = spec.model_copy(
        update={
            "motion_gate": spec.motion_gate and chosen.shared is not None,
            "picture_check": spec.picture_check and not is_file,
        }
    )
    # A live frame's time is the monotonic clock's, a file's counts from its start.
    epoch_s = time.time() if is_file else Clock().offset_s()
    return Station(
        CameraSupervisor(
            spec.name,
            CameraOpener(spec),
            is_file=is_file,
            fps=spec.fps,
            bell=bell,
        ),
        CameraWatch(
            spec,
            manifest,
            model_digest=chosen.model_digest,
            window_s=site.window_s,
            heat_s=site.heat_s,
            epoch_s=epoch_s,
            scene=keepers.scene,
            chosen=chosen,
            rules=site.rules,
            clips=ClipRing(site.evidence, keepers.clips.put) if keepers.clips else None,
            pictures=LivePictures(
                keepers.pictures, spec.name, monotonic=time.monotonic, wall=time.time
            ),
        ),
        chosen.for_camera(),
    )


def _stop_on_signals(bell: Bell) -> threading.Event:
    stop = threading.Event()

    def end(_number: int, _frame: object) -> None:
        stop.set()
        bell.ring()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    return stop


@contextmanager
def _served(metrics: VisionMetrics, port: int) -> Iterator[None]:
    """Answer scrapes meanwhile; port 0 is off."""
    if port == 0:
        yield
        return
    server = metrics.serve(port)
    log.info("metrics served", extra={"port": server.port})
    try:
        yield
    finally:
        server.close()


@contextmanager
def _crossing_log(path: Path | None) -> Iterator[OnCrossing]:
    """Give a function that notes a crossing in ``path``, or forgets it."""
    if path is None:
        yield lambda _camera, _crossing: None
        return
    with path.open("w") as file:

        def note(camera: str, crossing: Crossing) -> None:
            file.write(json.dumps({"camera": camera, **asdict(crossing)}) + "\n")

        yield note


def _exit_code(stations: list[Station]) -> int:
    unreadable = [
        station.supervisor.report.status is CameraStatus.MISCONFIGURED
        and station.supervisor.is_file
        for station in stations
    ]
    return 2 if all(unreadable) else 0


def _write_outputs(
    outputs: Outputs,
    stations: list[Station],
    scene: SceneRecorder | None,
    chosen: Chosen,
    committed: int,
    duration_s: float,
) -> None:
    totals = [station.watch.totals for station in stations]
    if outputs.report is not None:
        report = {
            "frames": sum(total.frames for total in totals),
            "gated": sum(total.gated for total in totals),
            "duration_s": round(duration_s, 3),
            "crossings_in": sum(total.crossings_in for total in totals),
            "crossings_out": sum(total.crossings_out for total in totals),
            "video_bytes": sum(s.supervisor.report.video_bytes for s in stations),
            "events_committed": committed,
            "backend": chosen.name,
            "precision": chosen.precision,
            "degraded": chosen.degraded,
            "cpu_s": round(time.process_time(), 3),
        }
        outputs.report.write_text(json.dumps(report, indent=2) + "\n")
    if outputs.scene is not None and scene is not None:
        first = totals[0]
        written = scene.write(
            outputs.scene, crossings_in=first.crossings_in, crossings_out=first.crossings_out
        )
        if not written:
            log.warning("no scene written: nobody was seen")
