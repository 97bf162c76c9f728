"""``make bench-backends``: what each runtime costs and keeps on this machine, in one run.

Latency is that of one picture from uint8 to detections, one thread, as a ratio to onnxruntime with
the float build; all take turns, picture by picture, so that a busy machine slows them alike.
``sure`` are the reference's detections with a score ≥ .4, ``agreement`` the share of them that a
backend has too (IoU ≥ .5), ``extra`` its own that the reference has not at any score, per picture,
``score`` the mean change of the score of those that agree.
Pictures: every eighth frame of vtest.avi from 400 on, which the detector was not trained on. Builds
that the bundle does not ship are made here from pictures of the mirror.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import onnx
from motion_crossings import motion_f1
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from shopfloor_contracts.bundles import Build, Manifest
from shopfloor_demo.truth import boxes_file
from shopfloor_edge.errors import BackendUnavailableError, BundleError
from shopfloor_edge.inference.choose import CANDIDATES, Candidate, precision_of
from shopfloor_edge.inference.motion import PREPROCESS, MotionBackend
from shopfloor_edge.inference.ports import InferenceBackend
from shopfloor_edge.inference.preprocess import Letterbox
from shopfloor_edge.inference.zoo import find_manifest, mirror_folder, resolve
from shopfloor_models.errors import ModelsError
from shopfloor_models.evaluation.parity import iou_matrix
from shopfloor_models.export.targets import TARGETS, Source, make

REPOSITORY = Path(__file__).resolve().parents[2]
REFERENCE = ("onnxruntime", "onnx-fp32")
FRAMES = range(400, 795, 8)
WARM_UP = 5
CALIBRATION_EVERY = 60
SURE, IOU_MIN = 0.4, 0.5

Pictures = NDArray[np.uint8]


@dataclass(slots=True)
class Contender:
    """A backend and what was measured of it."""

    name: str
    precision: str
    backend: InferenceBackend
    pictures: Pictures
    latency_ms: list[float]
    found: list[NDArray[np.float32]]

    def run(self, at: int) -> None:
        """Look at one picture."""
        started_s = time.perf_counter()
        rows = self.backend.infer(self.pictures[at : at + 1])[0]
        self.latency_ms.append(1e3 * (time.perf_counter() - started_s))
        self.found.append(rows[rows[:, 4] > 0])


class BenchError(Exception):
    """Something that a person has to bring."""


def frames(mirror: Path) -> list[Pictures]:
    """Return the pictures, BGR."""
    clip = mirror / "data" / "video" / "vtest.avi"
    if not clip.is_file():
        raise BenchError(f"{clip} does not exist; SHOPFLOOR_MIRROR names the mirror")
    video = cv2.VideoCapture(str(clip))
    read = [np.asarray(video.read()[1], np.uint8) for _ in range(FRAMES.stop)]
    return [read[number] for number in FRAMES]


def letterboxed(manifest: Manifest, pictures: list[Pictures]) -> Pictures:
    """Return ``(N, H, W, 3)`` as the bundle wants it."""
    letterbox = Letterbox(manifest.preprocess)
    return np.stack([letterbox.from_bgr(picture)[0].copy() for picture in pictures])


def builds(manifest: Manifest, mirror: Path, folder: Path) -> dict[str, tuple[Build, Path]]:
    """Return every build by target: those that ship, and those that can be made here."""
    ready = {one.target: (one, resolve(one, download=False)) for one in manifest.builds}
    photos = sorted((mirror / "data/people/images").glob("*.jpg"))[::CALIBRATION_EVERY]
    pictures = [np.asarray(cv2.imread(str(path)), np.uint8) for path in photos]
    if not pictures:
        return ready
    source = Source(onnx.load(ready[REFERENCE[1]][1]), letterboxed(manifest, pictures))
    for target in sorted({one.target for one in CANDIDATES} & TARGETS.keys() - ready.keys()):
        try:
            content = make(target, source).content
        except ModelsError as e:
            print(f"bench-backends: {target} is not made: {e}", file=sys.stderr)
            continue
        path = folder / target
        path.write_bytes(content)
        layout = "nhwc-int8" if target.startswith("litert") else None
        digest = hashlib.sha256(content).hexdigest()
        made = Build(
            target=target, file=target, sha256=digest, size_bytes=len(content), layout=layout
        )
        ready[target] = (made, path)
    return ready


def contenders(manifest: Manifest, ready: dict[str, tuple[Build, Path]]) -> Iterator[Contender]:
    """Load what can be loaded here, and say of the rest why not."""
    for candidate in sorted(CANDIDATES, key=lambda one: (one.runtime, one.target) != REFERENCE):
        name = f"{candidate.runtime} {candidate.target}"
        if candidate.target not in ready:
            continue
        build, path = ready[candidate.target]
        try:
            backend = _loaded(candidate, manifest, build, path)
        except (BackendUnavailableError, BundleError) as e:
            print(f"bench-backends: {name}: {e}", file=sys.stderr)
            continue
        yield Contender(name, precision_of(build), backend, np.empty(0, np.uint8), [], [])


def measure(manifest: Manifest, mirror: Path, folder: Path) -> list[dict[str, object]]:
    """Run everything in turn and return a row per backend, the reference first."""
    pictures = frames(mirror)
    entered = list(contenders(manifest, builds(manifest, mirror, folder)))
    for contender in entered:
        contender.pictures = letterboxed(manifest, pictures)
    motion_manifest = manifest.model_copy(update={"preprocess": PREPROCESS})
    watched = letterboxed(motion_manifest, pictures)
    entered.append(Contender("motion", "none", MotionBackend(), watched, [], []))
    for at in [*range(WARM_UP), *range(len(pictures))]:
        for contender in entered:
            contender.run(at)
    for contender in entered:
        del contender.latency_ms[:WARM_UP], contender.found[:WARM_UP]
    return [_row(contender, entered[0]) for contender in entered]


def _loaded(candidate: Candidate, manifest: Manifest, build: Build, path: Path) -> InferenceBackend:
    if candidate.probe is not None:
        candidate.probe()
    backend = candidate.load(manifest, path, wanted=("person",), threads=1, build=build)
    backend.warmup()
    return backend


def _row(contender: Contender, reference: Contender) -> dict[str, object]:
    ratios = np.array(contender.latency_ms) / np.array(reference.latency_ms)
    row: dict[str, object] = {
        "backend": contender.name,
        "precision": contender.precision,
        "latency_ratio": round(float(np.median(ratios)), 3),
        "latency_ms": round(float(np.median(contender.latency_ms)), 2),
        "sure": None,
        "agreement": None,
        "extra_per_picture": None,
        "score_change": None,
    }
    if contender.precision == "none":
        # Still pictures have no motion, and its boxes are of another size.
        return row
    sure, extra = 0, 0
    changes: list[float] = []
    for expected, found in zip(reference.found, contender.found, strict=True):
        overlap = iou_matrix(expected[:, :4], found[:, :4])
        wanted = expected[:, 4] >= SURE
        sure += int(wanted.sum())
        for row_overlap, score in zip(overlap[wanted], expected[wanted, 4], strict=True):
            if row_overlap.max(initial=0.0) >= IOU_MIN:
                changes.append(float(found[row_overlap.argmax(), 4] - score))
        alone = overlap.max(axis=0, initial=0.0) < IOU_MIN
        extra += int((alone & (found[:, 4] >= SURE)).sum())
    row["sure"] = sure
    row["agreement"] = round(len(changes) / sure, 4) if sure else None
    row["extra_per_picture"] = round(extra / len(contender.found), 3)
    row["score_change"] = round(float(np.mean(changes)), 4) if changes else None
    return row


def machine() -> dict[str, object]:
    """Return what the figures were measured on."""
    text = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    named = re.search(r"^model name\s*: (.*)$", text, re.MULTILINE)
    flags = set(re.findall(r"\b(avx2|avx512f|avx_vnni|avx512_vnni|amx_int8|asimddp)\b", text))
    return {
        "cpu": named.group(1) if named else platform.machine(),
        "cores": os.cpu_count(),
        "flags": sorted(flags),
    }


def main() -> int:
    """Measure, print a table and write the figures."""
    parser = argparse.ArgumentParser(prog="make bench-backends", description=__doc__)
    parser.add_argument("--bundle", default="person-nano")
    parser.add_argument("--out", type=Path, default=REPOSITORY / "var/bench/backends.json")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    mirror = mirror_folder()
    try:
        if mirror is None:
            raise BenchError("there is no mirror; SHOPFLOOR_MIRROR names it")
        with tempfile.TemporaryDirectory(prefix="shopfloor-bench-") as folder:
            rows = measure(find_manifest(arguments.bundle), mirror, Path(folder))
        boxes, clip = boxes_file(mirror), mirror / "data" / "video" / "vtest.avi"
        crossings = motion_f1(clip, boxes) if boxes is not None else None
    except (BenchError, BundleError) as e:
        print(f"bench-backends: {e}", file=sys.stderr)
        return 2
    where = machine()
    result = {
        "bundle": arguments.bundle,
        "machine": where,
        "pictures": len(FRAMES),
        "backends": rows,
        "motion_crossing_f1": crossings,
    }
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(result, indent=2) + "\n")
    table = Table(title=f"{arguments.bundle} on {where['cpu']}, {where['cores']} cores, 1 thread")
    for column in ("backend", "precision", "ratio", "ms", "sure", "agreement", "extra", "score"):
        words = column in ("backend", "precision")
        table.add_column(column, justify="left" if words else "right", no_wrap=True)
    for row in rows:
        table.add_row(*("–" if value is None else str(value) for value in row.values()))
    Console(width=100).print(table)
    print(f"crossings on vtest.avi from frame 400 with motion alone, F1: {crossings}")
    print(arguments.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
