"""Labels for footage that has none, by teachers: what they are sure of, and nothing else.

Between sure and nothing lies a band of boxes that may be right. A student must learn neither that
something is there nor that it isn't, so their pixels are painted over in the student's picture.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from shopfloor_models.data.formats import slug, yolo_text
from shopfloor_models.data.samples import Sample
from shopfloor_models.errors import DataError
from shopfloor_models.export.letterbox import Pixels, read_picture
from shopfloor_models.training.teacher import Found, Teacher

PAINT = 114
"""The grey of the letterbox, which the network knows as nothing."""


@dataclass(frozen=True, slots=True)
class Bands:
    """Which score means what."""

    sure: float = 0.45
    ignore: float = 0.15
    """From here to ``sure``, nobody knows; below, nothing is there."""
    agree_iou: float = 0.5
    """Two teachers mean the same thing from this overlap."""

    def __post_init__(self) -> None:
        if not 0 < self.ignore <= self.sure <= 1:
            raise DataError(
                f"bands are {self.ignore:g} and {self.sure:g}, expected 0 < ignore ≤ sure ≤ 1"
            )


@dataclass(frozen=True, slots=True)
class Judged:
    """A picture's boxes after all teachers have spoken; xyxy in pixels."""

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    classes: NDArray[np.int64]
    unsure: NDArray[np.float32]


def judge(seen: Sequence[Found], classes: Sequence[str], bands: Bands) -> Judged:
    """Join what one or two teachers saw on one picture.

    A box is sure if every teacher has it and the mean of their scores is; what only one of two
    has, or what is less, is unsure.
    """
    first, *others = [_wanted(found, classes, bands.ignore) for found in seen]
    scores, agreed = first.scores.copy(), np.ones(len(first.boxes), bool)
    unsure = []
    for other in others:
        same = np.array([[a == b for b in other.names] for a in first.names], bool)
        overlap = _iou(first.boxes, other.boxes) * same.reshape(len(first.boxes), len(other.boxes))
        partner = overlap >= bands.agree_iou
        agreed &= partner.any(axis=1)
        best = np.where(partner, other.scores[None], 0).max(axis=1, initial=0)
        scores = (scores + best) / 2
        unsure.append(other.boxes[~partner.any(axis=0)])
    sure = agreed & (scores >= bands.sure)
    numbers = np.array([classes.index(name) for name in first.names], np.int64)
    left = np.concatenate([first.boxes[~sure], *unsure]).reshape(-1, 4)
    return Judged(first.boxes[sure], scores[sure], numbers[sure], left)


def label(
    pictures: Sequence[Path],
    teachers: Sequence[Teacher],
    classes: Sequence[str],
    *,
    out: Path,
    bands: Bands,
    tell: Callable[[int], None] = lambda _done: None,
) -> list[Sample]:
    """Write ``images/`` and YOLO ``labels/`` below ``out``; pictures that show nothing stay in.

    Raises:
        DataError: there is no picture, or one cannot be read.
    """
    if not pictures:
        raise DataError("0 pictures to label")
    (out / "images").mkdir(parents=True, exist_ok=True)
    (out / "labels").mkdir(exist_ok=True)
    samples = []
    for done, path in enumerate(pictures, start=1):
        picture = read_picture(path)
        judged = judge([teacher.look(picture) for teacher in teachers], classes, bands)
        image = out / "images" / f"{path.stem}.png"
        cv2.imwrite(str(image), paint(picture, judged), [cv2.IMWRITE_PNG_COMPRESSION, 1])
        height, width = picture.shape[:2]
        boxes = (judged.boxes / np.array([width, height] * 2, np.float32)).astype(np.float32)
        text = yolo_text(boxes, judged.classes, judged.scores)
        (out / "labels" / f"{path.stem}.txt").write_text(text)
        samples.append(Sample(image, boxes, judged.classes, "footage", "own-footage"))
        tell(done)
    return samples


def write_dataset(out: Path, classes: Sequence[str], *, labelled_by: str) -> None:
    """Write ``dataset.toml`` beside what ``label`` wrote.

    All of it is for training: labels that a teacher drew judge nobody.
    """
    lines = [
        f"name = {json.dumps(slug(out.resolve().name))}",
        'version = "1"',
        f"classes = {json.dumps(list(classes))}",
        "quality = { near_duplicate_bits = 0 }",
        "",
        "[[sources]]",
        'name = "footage"',
        'images = "images"',
        'labels = "labels"',
        'licence_class = "own-footage"',
        f"labelled_by = {json.dumps(labelled_by)}",
        'split = "train"',
    ]
    (out / "dataset.toml").write_text("\n".join(lines) + "\n", encoding="utf-8")


def paint(picture: Pixels, judged: Judged) -> Pixels:
    """Return the picture with unsure boxes in grey, sure ones untouched."""
    painted = picture.copy()
    for x1, y1, x2, y2 in _whole(judged.unsure):
        painted[y1:y2, x1:x2] = PAINT
    for x1, y1, x2, y2 in _whole(judged.boxes):
        painted[y1:y2, x1:x2] = picture[y1:y2, x1:x2]
    return painted


def _whole(boxes: NDArray[np.float32]) -> list[list[int]]:
    out = np.concatenate([np.floor(boxes[:, :2]), np.ceil(boxes[:, 2:])], axis=1)
    corners: list[list[int]] = out.clip(0).astype(int).tolist()
    return corners


def _wanted(found: Found, classes: Sequence[str], score_min: float) -> Found:
    keep = [
        number
        for number, name in enumerate(found.names)
        if name in classes and found.scores[number] >= score_min
    ]
    return Found(
        found.boxes[keep].reshape(-1, 4),
        found.scores[keep],
        tuple(found.names[number] for number in keep),
    )


def _iou(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return ``(N, M)``; empty boxes overlap nothing."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=2)
    areas = [(boxes[:, 2:] - boxes[:, :2]).prod(axis=1) for boxes in (a, b)]
    union = areas[0][:, None] + areas[1][None] - shared
    return np.asarray(shared / np.maximum(union, 1e-9), np.float32)
