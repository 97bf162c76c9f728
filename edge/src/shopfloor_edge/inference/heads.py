"""From a model's raw output to detections; which decoder, the bundle's manifest says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from shopfloor_contracts.bundles import Head, Manifest
from shopfloor_edge.inference.ports import MAX_DETECTIONS, Detections

Raw = NDArray[np.float32]
I64 = NDArray[np.int64]
STRIDES = (8, 16, 32)
NMS_CANDIDATES = 1000
"""At most so many boxes enter NMS: a junk model's thousands must not stall the loop."""


@dataclass(frozen=True, slots=True)
class HeadSpec:
    """What a decoder needs of the manifest."""

    height_px: int
    width_px: int
    classes: int
    wanted: tuple[int, ...]
    """Class numbers to keep."""
    score_min: float
    nms_iou: float


def head_spec(manifest: Manifest, wanted: tuple[str, ...]) -> HeadSpec:
    """Return the decoder's settings; ``wanted`` names classes of the manifest."""
    return HeadSpec(
        height_px=manifest.preprocess.height_px,
        width_px=manifest.preprocess.width_px,
        classes=len(manifest.classes),
        wanted=tuple(manifest.classes.index(name) for name in wanted),
        score_min=manifest.score_min,
        nms_iou=manifest.nms_iou,
    )


def expected_shape(head: Head, spec: HeadSpec) -> tuple[int | None, int]:
    """Return ``(rows, columns)`` of one image's output; rows None where any number will do."""
    if head is Head.END2END:
        return None, 6
    return len(_yolox_grid(spec.height_px, spec.width_px)[0]), 5 + spec.classes


def decode_yolox(raw: Raw, spec: HeadSpec) -> Detections:
    """Decode YOLOX's raw head ``(N, A, 5 + C)``.

    Centre = (xy + grid) * stride, size = exp(wh) * stride, score = objectness * class
    (Ge et al., YOLOX, 2021).
    """
    grid, stride = _yolox_grid(spec.height_px, spec.width_px)
    out = np.zeros((len(raw), MAX_DETECTIONS, 6), np.float32)
    for found, image in zip(out, raw, strict=True):
        rows, scores, classes = _likely(image, spec)
        if len(rows) == 0:
            continue
        # In place: inference has emptied the caches, so that every call costs, not every number.
        part, step = image.take(rows, axis=0), stride.take(rows, axis=0)
        centre, half = part[:, :2], np.minimum(part[:, 2:4], 10.0)
        centre += grid.take(rows, axis=0)
        centre *= step
        np.exp(half, out=half)
        half *= step
        half /= 2
        boxes = np.empty((len(rows), 4), np.float32)
        np.subtract(centre, half, out=boxes[:, :2])
        np.add(centre, half, out=boxes[:, 2:])
        kept = _suppress(boxes, scores, classes, spec)[:MAX_DETECTIONS]
        found[: len(kept), :4] = boxes[kept]
        found[: len(kept), 4] = scores[kept]
        found[: len(kept), 5] = spec.wanted[0] if classes is None else classes[kept]
    return out


def _likely(image: Raw, spec: HeadSpec) -> tuple[I64, Raw, I64 | None]:
    """Return rows, scores and class numbers of what may be wanted; None where all are one class."""
    if len(spec.wanted) == 1:
        # A class' probability is at most 1, so objectness needs no look of its own.
        scores = image[:, 4] * image[:, 5 + spec.wanted[0]]
        rows = np.flatnonzero(scores >= spec.score_min)
        return rows, scores[rows], None
    rows = np.flatnonzero(image[:, 4] >= spec.score_min)
    by_class = image[rows][:, [5 + number for number in spec.wanted]] * image[rows, 4:5]
    best = by_class.argmax(axis=1)
    scores = by_class[np.arange(len(best)), best]
    keep = scores >= spec.score_min
    return rows[keep], scores[keep], np.asarray(spec.wanted)[best[keep]]


def decode_end2end(raw: Raw, spec: HeadSpec) -> Detections:
    """Filter an NMS-free head's ``(N, K, 6)``."""
    out = np.zeros((len(raw), MAX_DETECTIONS, 6), np.float32)
    for found, image in zip(out, raw, strict=True):
        keep = (image[:, 4] >= spec.score_min) & np.isin(image[:, 5], spec.wanted)
        rows = image[keep]
        _fill(found, rows[np.argsort(-rows[:, 4], kind="stable")])
    return out


DECODERS: dict[Head, Callable[[Raw, HeadSpec], Detections]] = {
    Head.YOLOX: decode_yolox,
    Head.END2END: decode_end2end,
}


def _fill(found: NDArray[np.float32], rows: NDArray[np.float32]) -> None:
    count = min(len(rows), MAX_DETECTIONS)
    found[:count] = rows[:count]


def _suppress(boxes: Raw, scores: Raw, classes: I64 | None, spec: HeadSpec) -> I64:
    """Return what non-maximum suppression per class keeps, best first."""
    if len(boxes) > NMS_CANDIDATES:
        top = np.argpartition(-scores, NMS_CANDIDATES)[:NMS_CANDIDATES]
        kept = _suppress(boxes[top], scores[top], None if classes is None else classes[top], spec)
        return top[kept]
    xywh = boxes.astype(np.float64)
    xywh[:, 2:] -= xywh[:, :2]
    # Lists: OpenCV reads an array of rectangles row by row, through a view of each.
    corners, weights = xywh.tolist(), scores.tolist()
    if classes is None:
        return np.asarray(
            cv2.dnn.NMSBoxes(corners, weights, spec.score_min, spec.nms_iou), np.int64
        )
    numbers = classes.tolist()
    return np.asarray(
        cv2.dnn.NMSBoxesBatched(corners, weights, numbers, spec.score_min, spec.nms_iou), np.int64
    )


@lru_cache(maxsize=8)
def _yolox_grid(height_px: int, width_px: int) -> tuple[Raw, Raw]:
    """Return cell corners ``(A, 2)`` in cells and strides ``(A, 1)`` in pixels."""
    cells, strides = [], []
    for stride in STRIDES:
        rows, columns = height_px // stride, width_px // stride
        xs, ys = np.meshgrid(np.arange(columns), np.arange(rows))
        cells.append(np.stack([xs.ravel(), ys.ravel()], axis=1))
        strides.append(np.full(rows * columns, stride))
    corners, steps = np.concatenate(cells), np.concatenate(strides)[:, None]
    return corners.astype(np.float32), steps.astype(np.float32)
