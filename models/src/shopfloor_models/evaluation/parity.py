"""Does a build find what fp32 finds?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from shopfloor_models.evaluation.predict import Floats

SCORE_MIN = 0.25
IOU_MIN = 0.5


@dataclass(frozen=True, slots=True)
class Agreement:
    """A build's detections against fp32's on the same pictures."""

    detections: int
    """Of fp32, at ``SCORE_MIN`` or above."""
    agreement: float
    """Share of them that the build has too: same class, IoU ≥ ``IOU_MIN``."""
    score_difference_max: float
    """Among those that agree."""


def agreement(reference: Sequence[Floats], found: Sequence[Floats]) -> Agreement:
    """Match fp32's detections, best first, one to one with the build's of any score."""
    total, differences = 0, []
    for expected, rows in zip(reference, found, strict=True):
        sure = expected[expected[:, 4] >= SCORE_MIN]
        total += len(sure)
        free = np.ones(len(rows), bool)
        overlaps = iou_matrix(sure[:, :4], rows[:, :4])
        for row, overlap in zip(sure, overlaps, strict=True):
            usable = np.where(free & (rows[:, 5] == row[5]), overlap, 0.0)
            if usable.size and usable.max() >= IOU_MIN:
                best = int(usable.argmax())
                free[best] = False
                differences.append(abs(float(rows[best, 4] - row[4])))
    share = len(differences) / total if total else 1.0
    return Agreement(total, share, max(differences, default=0.0))


def iou_matrix(a: Floats, b: Floats) -> Floats:
    """Return intersection over union of every pair, ``(N, M)``; 0 for empty boxes."""
    corner = np.maximum(a[:, None, :2], b[None, :, :2])
    inside = np.clip(np.minimum(a[:, None, 2:], b[None, :, 2:]) - corner, 0, None).prod(axis=2)
    areas = [np.prod(boxes[:, 2:] - boxes[:, :2], axis=1) for boxes in (a, b)]
    union = areas[0][:, None] + areas[1][None, :] - inside
    return np.asarray(inside / np.where(union > 0, union, 1.0), np.float32)
