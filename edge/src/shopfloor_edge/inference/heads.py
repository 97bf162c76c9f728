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
    columns = [5 + number for number in spec.wanted]
    for found, image in zip(out, raw, strict=True):
        likely = np.flatnonzero(image[:, 4] >= spec.score_min)
        by_class = image[likely][:, columns] * image[likely, 4:5]
        best = by_class.argmax(axis=1)
        scores = by_class[np.arange(len(best)), best]
        keep = scores >= spec.score_min
        rows, scores, best = likely[keep], scores[keep], best[keep]
        centre = (image[rows, :2] + grid[rows]) * stride[rows, None]
        size = np.exp(np.minimum(image[rows, 2:4], 10.0)) * stride[rows, None]
        boxes = np.concatenate([centre - size / 2, centre + size / 2], axis=1)
        classes = np.asarray(spec.wanted, np.float32)[best]
        _fill(found, _suppress(boxes, scores, classes, spec))
    return out


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


def _suppress(boxes: Raw, scores: Raw, classes: Raw, spec: HeadSpec) -> NDArray[np.float32]:
    """Return ``(K, 6)`` after non-maximum suppression per class, best first."""
    if len(boxes) == 0:
        return np.zeros((0, 6), np.float32)
    if len(boxes) > NMS_CANDIDATES:
        top = np.argpartition(-scores, NMS_CANDIDATES)[:NMS_CANDIDATES]
        boxes, scores, classes = boxes[top], scores[top], classes[top]
    xywh = boxes.astype(np.float64)
    xywh[:, 2:] -= xywh[:, :2]
    kept = np.asarray(
        cv2.dnn.NMSBoxesBatched(
            xywh.tolist(),
            scores.tolist(),
            classes.astype(int).tolist(),
            spec.score_min,
            spec.nms_iou,
        ),
        dtype=np.int64,
    )
    kept = kept[np.argsort(-scores[kept], kind="stable")]
    return np.column_stack([boxes[kept], scores[kept], classes[kept]]).astype(np.float32)


@lru_cache(maxsize=8)
def _yolox_grid(height_px: int, width_px: int) -> tuple[Raw, Raw]:
    """Return cell corners ``(A, 2)`` in cells and strides ``(A,)`` in pixels."""
    cells, strides = [], []
    for stride in STRIDES:
        rows, columns = height_px // stride, width_px // stride
        xs, ys = np.meshgrid(np.arange(columns), np.arange(rows))
        cells.append(np.stack([xs.ravel(), ys.ravel()], axis=1))
        strides.append(np.full(rows * columns, stride))
    return np.concatenate(cells).astype(np.float32), np.concatenate(strides).astype(np.float32)
