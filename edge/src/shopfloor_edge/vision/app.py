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
from functools import partial
from pathlib import Path

from shopfloor_contracts.bundles import Manifest
from shopfloor_contracts.events import CameraStatus
from shopfloor_contracts.site import CameraSpec, SiteFile
from shopfloor_edge.analytics.lines import Crossing
from shopfloor_edge.cameras.choose import open_source
from shopfloor_edge.cameras.mailbox import Bell
from shopfloor_edge.cameras.supervisor import CameraSupervisor
from shopfloor_edge.cameras.uris import Medium, medium_of
from shopfloor_edge.errors import BundleError
from shopfloor_edge.inference.onnx import OnnxBackend
from shopfloor_edge.inference.zoo import find_manifest, resolve
from shopfloor_edge.vision.evidence import SceneRecorder
from shopfloor_edge.vision.loop import InferenceLoop, OnCrossing, Station
from shopfloor_edge.vision.recorder import Recorder
from shopfloor_edge.vision.watch import CameraWatch

log = logging.getLogger(__name__)

COUNTED_CLASSES = ("person",)
TARGET = "onnx-fp32"


@dataclass(frozen=True, slots=True)
class Outputs:
    """Files written at the end, each optional."""

    scene: Path | None = None
    report: Path | None = None
    crossings: Path | None = None
    """One JSON line per crossing: camera, line, direction, and the frame's time. Never sent."""


def run_vision(site: SiteFile, state: Path, outputs: Outputs) -> int:
    """Watch the site's cameras until SIGTERM, or until every one is a file that is over.

    Returns:
        The exit code: 2 when every camera is a file that cannot be read.

    Raises:
        OperatorError: the model cannot be used.
        JournalError: the state folder cannot be written at the start.
    """
    manifest = find_manifest(site.model.bundle)
    backend, digest = _load(site, manifest)
    recorder = Recorder(
        state,
        max_rows=site.outbox.max_rows,
        max_bytes=site.outbox.max_bytes,
        clock=time.monotonic,
    )
    bell, scene = Bell(), SceneRecorder(site.cameras[0]) if outputs.scene else None
    stations = [
        _station(site, spec, manifest, digest, bell, scene if number == 0 else None)
        for number, spec in enumerate(site.cameras)
    ]
    stop = _stop_on_signals(bell)
    started_s = time.monotonic()
    log.info("vision started", extra={"cameras": len(stations), "model": manifest.name})
    loop = InferenceLoop(site, stations, backend=backend, recorder=recorder, bell=bell)
    with _crossing_log(outputs.crossings) as on_crossing:
        loop.run(stop, on_crossing)
    lost = recorder.close()
    _write_outputs(outputs, stations, scene, recorder.committed, time.monotonic() - started_s)
    log.info("vision stopped", extra={"events": recorder.committed, "lost": lost})
    return _exit_code(stations) or (1 if lost else 0)


def _load(site: SiteFile, manifest: Manifest) -> tuple[OnnxBackend, str]:
    missing = [name for name in COUNTED_CLASSES if name not in manifest.classes]
    if missing:
        raise BundleError(f"bundle {manifest.name} does not know the class {missing[0]!r}")
    build = manifest.build_for(TARGET)
    if build is None:
        raise BundleError(f"bundle {manifest.name} has no build for {TARGET}")
    if site.model.sha256 is not None:
        build = build.model_copy(update={"sha256": site.model.sha256})
    path = resolve(build, download=False)
    backend = OnnxBackend(manifest, path, wanted=COUNTED_CLASSES, threads=site.model.threads)
    backend.warmup()
    return backend, build.sha256


def _station(
    site: SiteFile,
    spec: CameraSpec,
    manifest: Manifest,
    digest: str,
    bell: Bell,
    scene: SceneRecorder | None,
) -> Station:
    is_file = medium_of(spec.uri) in (Medium.FILE, Medium.UNKNOWN)
    # A live frame's time is the monotonic clock's, a file's counts from its start.
    epoch_s = time.time() - (0.0 if is_file else time.monotonic())
    return Station(
        CameraSupervisor(
            spec.name,
            partial(open_source, spec.uri, spec.reader),
            is_file=is_file,
            fps=spec.fps,
            bell=bell,
        ),
        CameraWatch(
            spec,
            manifest,
            model_digest=digest,
            window_s=site.window_s,
            epoch_s=epoch_s,
            scene=scene,
        ),
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
    committed: int,
    duration_s: float,
) -> None:
    totals = [station.watch.totals for station in stations]
    if outputs.report is not None:
        report = {
            "frames": sum(total.frames for total in totals),
            "duration_s": round(duration_s, 3),
            "crossings_in": sum(total.crossings_in for total in totals),
            "crossings_out": sum(total.crossings_out for total in totals),
            "video_bytes": sum(s.supervisor.report.video_bytes for s in stations),
            "events_committed": committed,
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
