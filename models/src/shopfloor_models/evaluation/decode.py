"""From a network's raw rows to boxes; the only decoder of the factory."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from shopfloor_contracts.bundles import Head, Manifest, Preprocess

Floats = NDArray[np.float32]
SCORE_MIN = 0.01
"""Lower than on a device: average precision counts the unsure detections too."""
STRIDES = (8, 16, 32)
LOG_SIZE_MAX = 10.0
"""Junk weights give log sizes whose exponent overflows."""


@dataclass(frozen=True, slots=True)
class Network:
    """How a file's input is made and its output read."""

    head: Head
    preprocess: Preprocess
    unit_boxes: bool = False
    """Boxes are shares of the input instead of its pixels."""
    score_min: float = SCORE_MIN
    nms_iou: float = 0.65

    @classmethod
    def of(cls, manifest: Manifest, score_min: float = SCORE_MIN) -> Network:
        """Take over what a bundle's manifest says."""
        return cls(
            manifest.head, manifest.preprocess, score_min=score_min, nms_iou=manifest.nms_iou
        )


def decode(raw: Floats, network: Network) -> Floats:
    """Turn one picture's raw rows into ``(K, 6)`` in input pixels, best first.

    YOLOX's rows are offsets in cells, log sizes, objectness and classes (Ge et al., 2021).
    """
    spec = network.preprocess
    if network.head is Head.END2END:
        rows = raw[raw[:, 4] >= network.score_min].copy()
        if network.unit_boxes:
            rows[:, :4] *= np.array([spec.width_px, spec.height_px] * 2, np.float32)
        return rows[np.argsort(-rows[:, 4], kind="stable")]
    scores = raw[:, 5:] * raw[:, 4:5]
    best = scores.argmax(axis=1)
    top = scores[np.arange(len(raw)), best]
    keep = np.flatnonzero(top >= network.score_min)
    grid, stride = _grid(spec.width_px, spec.height_px)
    centre = (raw[keep, :2] + grid[keep]) * stride[keep]
    half = np.exp(np.minimum(raw[keep, 2:4], LOG_SIZE_MAX)) * stride[keep] / 2
    rows = np.column_stack([centre - half, centre + half, top[keep], best[keep]])
    return _suppress(rows.astype(np.float32), network)


def _suppress(rows: Floats, network: Network) -> Floats:
    if len(rows) == 0:
        return rows
    xywh = rows[:, :4].astype(np.float64)
    xywh[:, 2:] -= xywh[:, :2]
    kept = cv2.dnn.NMSBoxesBatched(
        xywh.tolist(),
        rows[:, 4].tolist(),
        rows[:, 5].astype(int).tolist(),
        network.score_min,
        network.nms_iou,
    )
    chosen = rows[np.asarray(kept, np.int64)]
    return chosen[np.argsort(-chosen[:, 4], kind="stable")]


@lru_cache(maxsize=8)
def _grid(width_px: int, height_px: int) -> tuple[Floats, Floats]:
    """Return cell corners ``(A, 2)`` in cells and strides ``(A, 1)`` in pixels."""
    cells, strides = [], []
    for stride in STRIDES:
        columns, rows = np.meshgrid(np.arange(width_px // stride), np.arange(height_px // stride))
        cells.append(np.stack([columns.ravel(), rows.ravel()], axis=1))
        strides.append(np.full((columns.size, 1), stride))
    return np.concatenate(cells).astype(np.float32), np.concatenate(strides).astype(np.float32)
