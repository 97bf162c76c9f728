"""Labels of others, in and out: YOLO text files and COCO JSON."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from shopfloor_contracts.problems import describe
from shopfloor_models.data.samples import Sample, read_yolo_labels
from shopfloor_models.errors import DataError


@dataclass(frozen=True, slots=True)
class Labels:
    """One picture's labels as a file names them."""

    boxes: NDArray[np.float32]
    """``(N, 4)`` xyxy as shares of width and height."""
    names: tuple[str, ...]
    """The class of each box."""
    scores: NDArray[np.float32] | None = None
    """``(N,)`` of a teacher; None where the format has none."""


class _Coco(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class _Image(_Coco):
    id: int
    file_name: str
    width: int
    height: int


class _Category(_Coco):
    id: int
    name: str


class _Annotation(_Coco):
    image_id: int
    category_id: int
    bbox: tuple[float, float, float, float]
    iscrowd: int = 0


class _File(_Coco):
    images: list[_Image]
    categories: list[_Category]
    annotations: list[_Annotation]


def read_yolo(path: Path, names: Sequence[str]) -> Labels:
    """Read one YOLO file; ``names`` says what its numbers mean.

    Raises:
        DataError: a line is no label, or a number has no name.
    """
    rows = read_yolo_labels(path)
    numbers = rows[:, 0].astype(int).tolist()
    for number in numbers:
        if number >= len(names):
            raise DataError(f"{path}: class {number}, expected 0 to {len(names) - 1}")
    return Labels(rows[:, 1:5], tuple(names[number] for number in numbers), rows[:, 5])


def read_coco(path: Path) -> dict[str, Labels]:
    """Return the labels of each file name; crowds are left out.

    Raises:
        DataError: no COCO, or an annotation of a picture or category that is not in the file.
    """
    try:
        coco = _File.model_validate_json(path.read_bytes())
    except OSError as e:
        raise DataError(f"{path}: {e.strerror}") from e
    except ValidationError as e:
        raise DataError(f"{path}: no COCO file: {describe(e, _File)[0]}") from e
    kinds = {category.id: category.name for category in coco.categories}
    images = {image.id: image for image in coco.images}
    found: dict[int, list[_Annotation]] = defaultdict(list)
    for number, annotation in enumerate(coco.annotations):
        if annotation.image_id not in images or annotation.category_id not in kinds:
            raise DataError(
                f"{path}: annotations[{number}] is of image {annotation.image_id} and category "
                f"{annotation.category_id}, which the file does not list"
            )
        if not annotation.iscrowd:
            found[annotation.image_id].append(annotation)
    return {image.file_name: _labels(image, found[image.id], kinds, path) for image in coco.images}


def _labels(image: _Image, found: list[_Annotation], kinds: dict[int, str], path: Path) -> Labels:
    if image.width <= 0 or image.height <= 0:
        raise DataError(f"{path}: {image.file_name} is {image.width} x {image.height}")
    boxes = np.array([a.bbox for a in found], np.float32).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    boxes /= np.array([image.width, image.height] * 2, np.float32)
    return Labels(boxes, tuple(kinds[a.category_id] for a in found))


def yolo_text(
    boxes: NDArray[np.float32],
    classes: NDArray[np.int64],
    scores: NDArray[np.float32] | None = None,
) -> str:
    """Return the lines of a YOLO file; with ``scores`` as sixth column where they are given."""
    rows = np.column_stack([(boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]])
    if scores is not None:
        rows = np.column_stack([rows, scores])
    lines = (
        " ".join([str(int(kind)), *(f"{value:.6f}" for value in row)])
        for kind, row in zip(classes, rows, strict=True)
    )
    return "".join(f"{line}\n" for line in lines)


def write_yolo(samples: Iterable[Sample], folder: Path) -> None:
    """Write one text file per picture; one without boxes gets an empty file."""
    folder.mkdir(parents=True, exist_ok=True)
    for sample in samples:
        text = yolo_text(sample.boxes, sample.classes)
        (folder / f"{sample.image.stem}.txt").write_text(text)


def write_coco(samples: Sequence[Sample], classes: Sequence[str], path: Path) -> None:
    """Write one COCO file.

    Raises:
        DataError: a picture cannot be read.
    """
    images: list[dict[str, object]] = []
    annotations: list[dict[str, object]] = []
    for number, sample in enumerate(samples, start=1):
        picture = cv2.imread(str(sample.image))
        if picture is None:
            raise DataError(f"{sample.image} is no picture")
        height, width = picture.shape[:2]
        images.append(
            {"id": number, "file_name": sample.image.name, "width": width, "height": height}
        )
        pixels = sample.boxes.astype(float) * np.array([width, height] * 2)
        for kind, (x1, y1, x2, y2) in zip(sample.classes.tolist(), pixels.tolist(), strict=True):
            box = [x1, y1, x2 - x1, y2 - y1]
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": kind + 1,
                    "bbox": [round(value, 2) for value in box],
                    "area": round(box[2] * box[3], 2),
                    "iscrowd": 0,
                }
            )
    categories = [{"id": number, "name": name} for number, name in enumerate(classes, start=1)]
    content = {"images": images, "annotations": annotations, "categories": categories}
    path.write_text(json.dumps(content))


def slug(text: str) -> str:
    """Return ``text`` as a name of a dataset or a bundle."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:60] or "model"
