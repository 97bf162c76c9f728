"""Precision, recall and average precision of findings by DeepPCB's rule.

A finding is right when its box and a labelled one, of the same class where classes are asked
for, have an intersection over union of at least 0.33, one to one (Tang et al., 2019).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

MATCH_IOU = 0.33
F32 = NDArray[np.float32]
I64 = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Marks:
    """Boxes on one part: labels, or what a judge found."""

    boxes: F32
    """``(N, 4)`` xyxy in pixels."""
    classes: I64
    """``(N,)``; all alike where classes are not asked for."""
    scores: F32
    """``(N,)`` in [0, 1]; of no meaning for labels."""


@dataclass(frozen=True, slots=True)
class Score:
    """How good findings are, over all parts."""

    found: int
    right: int
    labelled: int

    @property
    def precision(self) -> float:
        """Share of the findings that are right; 1 when there is none."""
        return self.right / self.found if self.found else 1.0

    @property
    def recall(self) -> float:
        """Share of the labelled that are found; 1 when there is none."""
        return self.right / self.labelled if self.labelled else 1.0

    @property
    def f(self) -> float:
        """Harmonic mean of both; 0 when nothing is right."""
        return 2 * self.right / max(1, self.found + self.labelled)


def iou(one: F32, other: F32) -> NDArray[np.float64]:
    """Return ``(N, M)`` intersections over unions of ``(N, 4)`` and ``(M, 4)`` boxes."""
    a, b = one[:, None].astype(float), other[None].astype(float)
    sides = np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2])
    shared = sides.clip(0).prod(-1)
    both = (a[..., 2:] - a[..., :2]).prod(-1) + (b[..., 2:] - b[..., :2]).prod(-1) - shared
    return np.asarray(shared / np.maximum(both, 1e-9))


def score(parts: Sequence[tuple[Marks, Marks]]) -> Score:
    """Score ``(found, labelled)`` of each part, at the best one-to-one match."""
    right = sum(len(matched(found, labelled)) for found, labelled in parts)
    return Score(
        sum(len(found.boxes) for found, _ in parts),
        right,
        sum(len(labelled.boxes) for _, labelled in parts),
    )


def matched(found: Marks, labelled: Marks) -> list[tuple[int, int]]:
    """Return the pairs of numbers (finding, label) of the match with most right findings."""
    overlap = iou(found.boxes, labelled.boxes)
    overlap *= found.classes[:, None] == labelled.classes[None]
    allowed = overlap >= MATCH_IOU
    # A right pair outweighs any sum of overlaps, so that as many as possible are right.
    rows, columns = linear_sum_assignment(-(allowed * (1.0 + len(found.boxes)) + overlap))
    return [(int(r), int(c)) for r, c in zip(rows, columns, strict=True) if allowed[r, c]]


def mean_average_precision(parts: Sequence[tuple[Marks, Marks]]) -> float:
    """Return the mean over classes of the area under precision at recall.

    Findings take labels in the order of their scores; precision is that at the same recall or
    any higher one (Everingham et al., VOC 2010 and later).
    """
    kinds = sorted({int(kind) for _, labelled in parts for kind in labelled.classes})
    if not kinds:
        return 0.0
    return float(np.mean([_average_precision(parts, kind) for kind in kinds]))


def _average_precision(parts: Sequence[tuple[Marks, Marks]], kind: int) -> float:
    labels = [labelled.boxes[labelled.classes == kind] for _, labelled in parts]
    taken = [np.zeros(len(boxes), bool) for boxes in labels]
    findings = sorted(
        (
            (-float(found.scores[at]), part, at)
            for part, (found, _) in enumerate(parts)
            for at in np.flatnonzero(found.classes == kind)
        ),
    )
    right = np.zeros(len(findings))
    for number, (_, part, at) in enumerate(findings):
        overlap = iou(parts[part][0].boxes[at : at + 1], labels[part])[0] * ~taken[part]
        if overlap.size and overlap.max() >= MATCH_IOU:
            taken[part][overlap.argmax()] = True
            right[number] = 1
    if not findings:
        return 0.0
    recall = right.cumsum() / sum(map(len, labels))
    precision = right.cumsum() / np.arange(1, len(right) + 1)
    best = np.maximum.accumulate(precision[::-1])[::-1]
    return float((np.diff(recall, prepend=0.0) * best).sum())
