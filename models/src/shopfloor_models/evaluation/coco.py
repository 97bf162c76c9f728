"""COCO's average precision over labelled pictures, by pycocotools."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from shopfloor_models.data.samples import images_in, read_yolo_labels
from shopfloor_models.errors import DataError
from shopfloor_models.evaluation.predict import Floats
from shopfloor_models.export.letterbox import Pixels, read_picture

SIZES = ("small", "medium", "large")
"""COCO's: below 32², below 96², and larger, in square pixels of the picture."""


@dataclass(frozen=True, slots=True)
class Labelled:
    """One picture and what is on it."""

    name: str
    pixels: Pixels
    boxes: Floats
    """``(N, 4)`` xyxy in pixels."""
    classes: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Average precision in [0, 1]; what has no true box is absent."""

    ap: float
    """Mean over IoU .50–.95."""
    ap50: float
    by_class: dict[int, float]
    by_size: dict[str, float]
    curve: tuple[float, ...]
    """Precision at IoU .5 for recall 0, .01 … 1, mean over classes."""


def read_labelled(images: Path, labels: Path) -> list[Labelled]:
    """Read a folder of pictures and its YOLO labels; no label file means nothing is there.

    Raises:
        DataError: the folder has no picture, or a file cannot be read.
    """
    found = []
    for path in images_in(images):
        pixels = read_picture(path)
        file = labels / f"{path.stem}.txt"
        rows = read_yolo_labels(file) if file.is_file() else np.zeros((0, 6), np.float32)
        size = np.array([pixels.shape[1], pixels.shape[0]] * 2, np.float32)
        found.append(Labelled(path.name, pixels, rows[:, 1:5] * size, rows[:, 0].astype(np.int64)))
    if not found:
        raise DataError(f"{images}: 0 pictures, expected at least 1")
    return found


def accuracy(
    truth: Sequence[Labelled], found: Sequence[Floats], *, classes: Sequence[int]
) -> Accuracy:
    """Compare detections with the truth, for some classes.

    Args:
        found: per picture ``(K, 6)`` xyxy in its pixels, score, class.
        classes: those that count; others are left out on both sides.
    """
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = _dataset(truth, classes)
        coco.createIndex()
        rows = _results(found, classes)
        if not rows:
            return Accuracy(0.0, 0.0, {}, {}, (0.0,) * 101)
        run = COCOeval(coco, coco.loadRes(rows), "bbox")
        run.params.catIds = list(classes)
        run.evaluate()
        run.accumulate()
    return _summary(run.eval["precision"], classes)


def _summary(precision: NDArray[np.float64], classes: Sequence[int]) -> Accuracy:
    """Reduce pycocotools' ``(IoU, recall, class, area, limit)``; -1 stands for no truth."""
    most = precision[..., -1]
    by_class = {
        number: _mean(most[:, :, place, 0])
        for place, number in enumerate(classes)
        if (most[:, :, place, 0] > -1).any()
    }
    by_size = {
        name: _mean(most[:, :, :, place])
        for place, name in enumerate(SIZES, start=1)
        if (most[:, :, :, place] > -1).any()
    }
    at_half = most[0, :, :, 0]
    curve = tuple(_mean(at_recall) for at_recall in at_half)
    return Accuracy(_mean(most[..., 0]), _mean(at_half), by_class, by_size, curve)


def _mean(values: NDArray[np.float64]) -> float:
    real = values[values > -1]
    return float(real.mean()) if real.size else 0.0


def _dataset(truth: Sequence[Labelled], classes: Sequence[int]) -> dict[str, Any]:
    images: list[dict[str, int]] = []
    boxes: list[dict[str, Any]] = []
    for number, picture in enumerate(truth):
        height, width = picture.pixels.shape[:2]
        images.append({"id": number, "width": width, "height": height})
        for box, kind in zip(picture.boxes, picture.classes, strict=True):
            x1, y1, x2, y2 = map(float, box)
            boxes.append(
                {
                    # Numbers begin at 1: pycocotools takes 0 for "not matched".
                    "id": len(boxes) + 1,
                    "image_id": number,
                    "category_id": int(kind),
                    "iscrowd": 0,
                    "bbox": [x1, y1, x2 - x1, y2 - y1],
                    "area": (x2 - x1) * (y2 - y1),
                }
            )
    kinds = [{"id": number, "name": str(number)} for number in classes]
    return {"images": images, "annotations": boxes, "categories": kinds}


def _results(found: Sequence[Floats], classes: Sequence[int]) -> list[dict[str, Any]]:
    wanted = frozenset(classes)
    return [
        {
            "image_id": number,
            "category_id": int(row[5]),
            "bbox": [float(row[0]), float(row[1]), float(row[2] - row[0]), float(row[3] - row[1])],
            "score": float(row[4]),
        }
        for number, rows in enumerate(found)
        for row in rows
        if int(row[5]) in wanted
    ]
