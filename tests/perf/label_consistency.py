"""What neighbouring frames do for a teacher's labels: precision and recall against the truth.

    python tests/perf/label_consistency.py --mirror ../shared

YOLOX-nano labels ``vtest.avi`` with the bands that ``shopfloor-models label`` has by default. A
label is right when it overlaps a person of the truth, not yet taken, by half. What is unsure is
painted over for the student, so a miss that is painted costs less than one that is not: ``blank``
is the share of true people that are neither labelled nor at least half painted. Writes
``var/bench/label-consistency.json``.
"""

import argparse
import json
import os
from pathlib import Path

import cv2
import numpy as np
from rich.console import Console
from rich.table import Table

from shopfloor_models.training.consistency import TrackRules, iou_matrix
from shopfloor_models.training.distil import Bands, Judged, hear_neighbours, judge
from shopfloor_models.training.teacher import OnnxTeacher, find_model

ROOT = Path(__file__).resolve().parents[2]
FRAME_MS = 100
STEPS = (1, 2)
IOU = 0.5


def labels_of(clip: Path) -> dict[int, Judged]:
    """Return what one teacher says of every frame, each alone."""
    bands = Bands()
    teacher = OnnxTeacher(find_model("yolox-nano"), score_min=bands.ignore)
    capture = cv2.VideoCapture(str(clip))
    found: dict[int, Judged] = {}
    while True:
        good, frame = capture.read()
        if not good:
            return found
        found[len(found)] = judge([teacher.look(np.asarray(frame))], ["person"], bands)


def truth_of(path: Path) -> dict[int, np.ndarray]:
    rows = np.loadtxt(path, delimiter=",")
    boxes = np.column_stack([rows[:, 2:4], rows[:, 2:4] + rows[:, 4:6]]) - 1
    return {int(n) - 1: boxes[rows[:, 0] == n].astype(np.float32) for n in np.unique(rows[:, 0])}


def count(judged: Judged, truth: np.ndarray) -> np.ndarray:
    """Return labels, right labels, true people, and people who are left blank."""
    overlap = iou_matrix(judged.boxes, truth)
    hit = np.zeros(len(truth), bool)
    for row in np.argsort(-judged.scores, kind="stable"):
        left = np.where(hit, 0.0, overlap[row])
        if left.size and left.max() >= IOU:
            hit[left.argmax()] = True
    painted = covered(truth, judged.unsure) >= IOU
    return np.array([len(judged.boxes), hit.sum(), len(truth), (~hit & ~painted).sum()])


def covered(truth: np.ndarray, paint: np.ndarray) -> np.ndarray:
    """Return the largest share of each true box that one painted box covers."""
    low = np.maximum(truth[:, None, :2], paint[None, :, :2])
    high = np.minimum(truth[:, None, 2:], paint[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=2)
    areas = (truth[:, 2:] - truth[:, :2]).prod(axis=1)
    return np.asarray((shared / areas[:, None]).max(axis=1, initial=0))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mirror", type=Path, default=ROOT.parent / "shared")
    options = parser.parse_args()
    alone = labels_of(options.mirror / "data/video/vtest.avi")
    truth = truth_of(options.mirror / "data/mot15/PETS09-S2L1/gt/gt.txt")
    table = Table("every", "labels", "precision", "recall", "F1", "blank", title="labels of vtest")
    rows = []
    for step in STEPS:
        numbers = list(alone)[::step]
        names = [Path(f"vtest_{n * FRAME_MS:08d}.jpg") for n in numbers]
        for kind, rules in (("alone", None), ("tracks", TrackRules())):
            heard = hear_neighbours(names, [alone[n] for n in numbers], Bands(tracks=rules))
            pairs = zip(heard, numbers, strict=True)
            counts = [count(judged, truth[n]) for judged, n in pairs if n in truth]
            total = np.sum(counts, axis=0)
            precision, recall = total[1] / total[0], total[1] / total[2]
            f1 = 2 * precision * recall / (precision + recall)
            figures = [precision, recall, f1, total[3] / total[2]]
            table.add_row(f"{step * FRAME_MS} ms", kind, *(f"{value:.3f}" for value in figures))
            keys = ("precision", "recall", "f1", "blank")
            named = {k: round(float(v), 4) for k, v in zip(keys, figures, strict=True)}
            rows.append({"step_ms": step * FRAME_MS, "labels": kind} | named)
    Console().print(table)
    out = ROOT / "var/bench/label-consistency.json"
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps({"machine": {"cores": os.cpu_count()}, "rows": rows}, indent=2))


if __name__ == "__main__":
    main()
