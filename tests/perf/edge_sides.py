"""The sides of the edge's benchmark, each run in a process of its own.

``python edge_sides.py SIDE CLIP …`` prints one JSON line: CPU-seconds of all threads from the
first frame on (imports and loading the model are not in it), frames, crossings.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import edge_footage
import numpy as np
import onnxruntime
from edge_script import run_script

from shopfloor_contracts.bundles import Manifest
from shopfloor_contracts.site import CameraSpec, ModelSpec, SiteFile
from shopfloor_demo.gst import Gst
from shopfloor_edge.cameras.choose import CameraOpener
from shopfloor_edge.cameras.mailbox import Bell, Mailbox
from shopfloor_edge.cameras.ports import Frame, FrameSource, SourceFacts
from shopfloor_edge.cameras.supervisor import CameraSupervisor
from shopfloor_edge.inference.onnx import OnnxBackend
from shopfloor_edge.inference.zoo import find_manifest, resolve
from shopfloor_edge.vision.loop import InferenceLoop, Station
from shopfloor_edge.vision.recorder import Recorder
from shopfloor_edge.vision.watch import CameraWatch

INFERRED_FPS = 5.0
EVERY = round(edge_footage.FPS / INFERRED_FPS)


@dataclass(frozen=True, slots=True)
class Job:
    """What a side has to do."""

    clip: Path
    manifest: Manifest
    weights: Path
    gate: bool
    tuned: bool


@dataclass(frozen=True, slots=True)
class Outcome:
    """What it did."""

    cpu_s: float
    frames: int
    inferred: int
    crossings: list[tuple[str, str, float]]
    """Line, direction, time; sorted."""


class LiveFile:
    """A file that says it is live, so that frames above the rate are shed as a camera's are."""

    live = True

    def __init__(self, source: FrameSource) -> None:
        self._source = source
        self.frames = 0
        self.begun_cpu_s = 0.0

    @property
    def video_bytes(self) -> int:
        return self._source.video_bytes

    @property
    def facts(self) -> SourceFacts:
        return self._source.facts

    def read(self, timeout_s: float) -> Frame | None:
        frame = self._source.read(timeout_s)
        if frame is not None and self.frames == 0:
            self.begun_cpu_s = cpu_s()
        self.frames += frame is not None
        return frame

    def close(self) -> None:
        self._source.close()


class FileOpener:
    """Opens the camera once."""

    def __init__(self, spec: CameraSpec) -> None:
        self._open = CameraOpener(spec)
        self.opened: LiveFile | None = None

    def __call__(self) -> FrameSource:
        self.opened = LiveFile(self._open())
        return self.opened

    def stamp(self) -> int:
        return 0


class PatientMailbox(Mailbox):
    """The clip is decoded as fast as it is looked at: a due frame waits in place of being shed."""

    def __init__(self, bell: Bell) -> None:
        super().__init__(bell)
        self._never = threading.Event()

    def replace(self, frame: Frame) -> None:
        self.put(frame, self._never)


def run_ours(job: Job) -> Outcome:
    """Run cameras, loop and journal as the vision process does."""
    spec = CameraSpec(
        name="bench",
        uri=str(job.clip),
        fps=INFERRED_FPS,
        lines=edge_footage.lines(),
        motion_gate=job.gate,
    )
    site = SiteFile(site="bench", device="here", model=ModelSpec(), cameras=[spec])
    backend = OnnxBackend(job.manifest, job.weights, wanted=("person",))
    backend.warmup()
    bell, opener = Bell(), FileOpener(spec)
    supervisor = CameraSupervisor("bench", opener, is_file=True, fps=spec.fps, bell=bell)
    supervisor.mailbox = PatientMailbox(bell)
    watch = CameraWatch(
        spec, job.manifest, model_digest="0" * 64, window_s=60.0, epoch_s=time.time()
    )
    crossings: list[tuple[str, str, float]] = []
    with tempfile.TemporaryDirectory() as folder:
        recorder = Recorder(Path(folder), max_rows=1000, max_bytes=10_000_000, clock=time.monotonic)
        loop = InferenceLoop(
            site, [Station(supervisor, watch)], backend=backend, recorder=recorder, bell=bell
        )
        loop.run(
            threading.Event(),
            lambda _camera, c: crossings.append((c.line, c.direction.value, round(c.at_s, 3))),
        )
        ended_s = cpu_s()
        recorder.close()
    if opener.opened is None:
        raise SystemExit(f"{job.clip}: {supervisor.report.reason}")
    spent_s, frames = ended_s - opener.opened.begun_cpu_s, opener.opened.frames
    return Outcome(spent_s, frames, watch.totals.frames, sorted(crossings))


def run_floor(job: Job) -> Outcome:
    """Decode in GStreamer's own threads, run the session on one tensor: no pixel is touched."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(str(job.weights), options)
    given = session.get_inputs()[0]
    shape = [side if isinstance(side, int) else 1 for side in given.shape]
    kind = np.uint8 if "uint8" in given.type else np.float32
    tensor = np.full(shape, 114, kind)
    session.run(None, {given.name: tensor})
    Gst.init(None)
    pipeline = Gst.parse_launch(
        f"filesrc location={job.clip} ! qtdemux ! h264parse ! avdec_h264 max-threads=1 "
        "! fakesink name=sink sync=false"
    )
    frames = _frames_of(job.clip)
    begun_s = cpu_s()
    pipeline.set_state(Gst.State.PLAYING)
    inferred = -(-frames // EVERY)
    for _ in range(inferred):
        session.run(None, {given.name: tensor})
    pipeline.get_bus().timed_pop_filtered(
        Gst.CLOCK_TIME_NONE, Gst.MessageType.EOS | Gst.MessageType.ERROR
    )
    spent_s = cpu_s() - begun_s
    pipeline.set_state(Gst.State.NULL)
    return Outcome(spent_s, frames, inferred, [])


def run_straightforward(job: Job) -> Outcome:
    """Run the script."""
    spent_s, frames, inferred = run_script(
        job.clip,
        job.manifest,
        job.weights,
        every=EVERY,
        cpu_s=cpu_s,
        tuned=job.tuned,
    )
    return Outcome(spent_s, frames, inferred, [])


def cpu_s() -> float:
    """Return the CPU time of this process, all threads."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


SIDES: dict[str, Callable[[Job], Outcome]] = {
    "ours": run_ours,
    "floor": run_floor,
    "script": run_straightforward,
}


def _frames_of(clip: Path) -> int:
    import cv2  # noqa: PLC0415 — the other sides do not count by it

    return int(cv2.VideoCapture(str(clip)).get(cv2.CAP_PROP_FRAME_COUNT))


def main() -> int:
    """Run one side."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("side", choices=sorted(SIDES))
    parser.add_argument("clip", type=Path)
    parser.add_argument("--bundle", default="person-nano")
    parser.add_argument("--no-gate", action="store_true")
    parser.add_argument("--tuned", action="store_true", help="script: one thread, grab()")
    arguments = parser.parse_args()
    manifest = find_manifest(arguments.bundle)
    weights = resolve(manifest.builds[0], download=False)
    job = Job(
        arguments.clip,
        manifest,
        weights,
        gate=not arguments.no_gate,
        tuned=arguments.tuned,
    )
    outcome = SIDES[arguments.side](job)
    print(
        json.dumps(
            {
                "cpu_s": outcome.cpu_s,
                "frames": outcome.frames,
                "inferred": outcome.inferred,
                "crossings": outcome.crossings,
            }
        )
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
