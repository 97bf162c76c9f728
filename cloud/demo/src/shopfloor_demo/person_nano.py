"""``python -m shopfloor_demo.person_nano``: our detector beside YOLOX-nano, in one run.

Crossings are counted on the part of ``vtest.avi`` that was never trained on, persons are found on
COCO128's val images; both go through the device's own code.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from shopfloor_contracts.bundles import Build, Manifest
from shopfloor_contracts.errors import ZooError
from shopfloor_demo.clips import find_vtest
from shopfloor_demo.errors import DemoError, OperatorError
from shopfloor_demo.evaluate import LINES
from shopfloor_demo.settings import REPOSITORY, read_settings
from shopfloor_demo.truth import FPS, SIZE, boxes_file, crossings_from_boxes, score
from shopfloor_edge.analytics.lines import Crossing, LineCounter, feet
from shopfloor_edge.cameras.choose import open_source
from shopfloor_edge.errors import BundleError, SourceEndedError
from shopfloor_edge.inference.onnx import OnnxBackend
from shopfloor_edge.inference.preprocess import Letterbox, Planes
from shopfloor_edge.inference.zoo import find_manifest, resolve
from shopfloor_edge.tracking.bytetrack import ByteTracker

REFERENCE = "yolox-nano"
TARGET = "onnx-fp32"
"""The build that a device runs."""
FRAMES = (400, 795)
"""The frames before are training data of ``person-nano``."""
READ_TIMEOUT_S = 10.0


class Contender:
    """A detector with a tracker and counters of its own."""

    def __init__(self, manifest: Manifest, path: Path) -> None:
        self._backend = OnnxBackend(manifest, path, wanted=("person",))
        self._letterbox = Letterbox(manifest.preprocess)
        self._tracker = ByteTracker(fps=FPS)
        self._counters = [LineCounter(line.name, line.a, line.b) for line in LINES]
        self._backend.warmup()
        self.crossings: list[Crossing] = []
        self.inference_s = 0.0
        """Processor time of the process inside inference."""

    def watch(self, planes: Planes, at_s: float) -> None:
        """Detect, track and count on one frame."""
        image, placement = self._letterbox.from_i420(planes)
        started_s = time.process_time()
        rows = self._backend.infer(image[None])[0]
        self.inference_s += time.process_time() - started_s
        rows = rows[rows[:, 4] > 0]
        tracked = self._tracker.update(placement.to_frame(rows[:, :4]), rows[:, 4], at_s=at_s)
        spots = feet(tracked.boxes)
        for counter in self._counters:
            self.crossings += counter.update(tracked.ids, spots, size=SIZE, at_s=at_s)

    def persons_in(self, picture: NDArray[np.uint8]) -> list[list[float]]:
        """Return ``[x1, y1, x2, y2, score, 0]`` in the picture's pixels."""
        image, placement = self._letterbox.from_bgr(picture)
        rows = self._backend.infer(image[None])[0]
        rows = rows[rows[:, 4] > 0]
        rows[:, :4] = placement.to_frame(rows[:, :4])
        return [[*map(float, row[:5]), 0.0] for row in rows]


@dataclass(frozen=True, slots=True)
class Places:
    """Where the evaluation's data is."""

    clip: Path
    boxes: Path
    coco: Path


def find_places() -> Places:
    """Find clip, ground truth and COCO128.

    Raises:
        OperatorError: one is not there; the message names it.
    """
    where = read_settings(os.environ).footage
    boxes = boxes_file(where.mirror)
    if where.mirror is None or boxes is None:
        raise OperatorError("MOT15's boxes are not there: SHOPFLOOR_MIRROR names the mirror")
    coco = where.mirror / "data" / "coco128"
    if not (coco / "images" / "val2017").is_dir():
        raise OperatorError(f"{coco} has no images/val2017")
    clip = find_vtest(where, say=lambda text: print(text, file=sys.stderr))
    return Places(clip, boxes, coco)


def evaluate(manifest: Manifest, unseen: Path | None) -> dict[str, object]:
    """Measure the bundle, its INT8 build, YOLOX-nano and perhaps the network without the scene."""
    where, reference = find_places(), find_manifest(REFERENCE)
    build = manifest.build_for(TARGET) or manifest.builds[0]
    ours, theirs = _contender(manifest, build), _contender(reference, reference.builds[0])
    others = [Contender(manifest, unseen)] if unseen else []
    _watch_all(where.clip, [ours, theirs, *others])
    f1, ap = _f1(where.boxes, ours), person_ap(where.coco, ours)
    seen_nothing = f1 if _never_saw_the_scene(manifest) else None
    return {
        "crossing_f1": f1,
        "crossing_f1_unseen_scene": _f1(where.boxes, others[0]) if others else seen_nothing,
        "cpu_ratio_to_yolox_nano": round(ours.inference_s / theirs.inference_s, 3),
        **{f"person_{key}": value for key, value in ap.items()},
        "int8_map_loss_points": _int8_loss(manifest, where.coco, ap["ap"]),
        "builds": [{"target": one.target, "bytes": one.size_bytes} for one in manifest.builds],
        "measured": {"bundle": manifest.name, "target": build.target, "sha256": build.sha256},
        "reference": {
            "crossing_f1": _f1(where.boxes, theirs),
            **{f"person_{key}": value for key, value in person_ap(where.coco, theirs).items()},
        },
    }


def person_ap(coco: Path, contender: Contender) -> dict[str, float]:
    """Return AP and AP50 of persons on COCO128's val images, judged by ``shopfloor_models``.

    Raises:
        OperatorError: the evaluation ended with an error; the message is its own.
    """
    images, labels = coco / "images/val2017", coco / "labels/val2017"
    table = {}
    for path in sorted(images.glob("*.jpg")):
        picture = cv2.imread(str(path))
        if picture is None:
            raise OperatorError(f"{path} is no picture")
        table[path.name] = contender.persons_in(np.asarray(picture, np.uint8))
    with tempfile.TemporaryDirectory(prefix="shopfloor-person-") as folder:
        file = Path(folder) / "detections.json"
        file.write_text(json.dumps(table))
        options = ["--images", images, "--labels", labels, "--detections", file, "--class", "0"]
        command = [sys.executable, "-m", "shopfloor_models.evaluation", *map(str, options)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode:
        raise OperatorError((done.stderr.strip() or "evaluation ended early").splitlines()[-1])
    result = json.loads(done.stdout)
    return {key: round(float(result[key]), 4) for key in ("ap", "ap50")}


def _contender(manifest: Manifest, build: Build) -> Contender:
    """Load a build, with its own input layout where it differs from the bundle's."""
    if build.layout in ("nchw-float32", "nhwc-uint8"):
        preprocess = manifest.preprocess.model_copy(update={"layout": build.layout})
        manifest = manifest.model_copy(update={"preprocess": preprocess})
    return Contender(manifest, resolve(build, download=False))


def _int8_loss(manifest: Manifest, coco: Path, ap: float) -> float | None:
    """Return the AP of persons lost by the INT8 build, in points; None where there is none."""
    small = _int8(manifest)
    if small is None:
        return None
    return round(100 * (ap - person_ap(coco, _contender(manifest, small))["ap"]), 2)


def _watch_all(clip: Path, contenders: list[Contender]) -> None:
    """Show every frame to all in turn, so that a busy machine slows them alike."""
    source = open_source(str(clip))
    try:
        while True:
            frame = source.read(timeout_s=READ_TIMEOUT_S)
            if frame is not None and FRAMES[0] <= frame.number < FRAMES[1]:
                with frame.planes() as planes:
                    for contender in contenders:
                        contender.watch(planes, frame.number / FPS)
    except SourceEndedError:
        return
    finally:
        source.close()


def _f1(boxes: Path, contender: Contender) -> float:
    """Return F1 over all lines together."""
    first_s, last_s = (number / FPS for number in FRAMES)
    everything = crossings_from_boxes(boxes, LINES)
    truth = [crossing for crossing in everything if first_s <= crossing.at_s < last_s]
    scores = [score(line.name, truth, contender.crossings) for line in LINES]
    right = sum(one.true_positive for one in scores)
    return round(2 * right / sum(one.truth + one.counted for one in scores), 4)


def _int8(manifest: Manifest) -> Build | None:
    """Return the CPU's INT8 build: quantised, ONNX, and not signed for TensorRT."""
    for build in manifest.builds:
        quantised = "int8" in build.target and "tensorrt" not in build.target
        if quantised and build.file.endswith(".onnx"):
            return build
    return None


def _never_saw_the_scene(manifest: Manifest) -> bool:
    made = manifest.provenance
    if made is None or not made.sources:
        return False
    return not any("vtest" in source.name.lower() for source in made.sources)


def main() -> int:
    """Run the evaluation, write and print the figures."""
    parser = argparse.ArgumentParser(prog="python -m shopfloor_demo.person_nano")
    parser.add_argument("--bundle", default="person-nano", help="detector of the zoo")
    parser.add_argument("--unseen", type=Path, help="ONNX of the network that never saw the clip")
    parser.add_argument("--out", type=Path, default=REPOSITORY / "var/eval/person-nano.json")
    arguments = parser.parse_args()
    try:
        result = evaluate(find_manifest(arguments.bundle), arguments.unseen)
    except (DemoError, BundleError, ZooError) as e:
        print(f"person-nano: {e}", file=sys.stderr)
        return 2
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
