"""The mirror's pool of people: which picture may train what, and whose labels it has."""

from __future__ import annotations

import csv
from collections.abc import Collection
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from shopfloor_models.data.samples import Sample, read_yolo_labels
from shopfloor_models.errors import DataError

TRAINABLE = ("cc-by", "cc-by(openimages-like)", "cc-by-claimed(web)", "flickr-mixed")
"""Licence classes that may train what is shipped (the pool's README)."""
COMPLETE = ("coco", "voc12")
"""Sources whose human labels name everybody; elsewhere the teacher fills in."""
TEACHER_SCORE = 0.35
PERSON = 0


def load_pool(
    folder: Path, *, split: str | None, licences: Collection[str] = TRAINABLE
) -> list[Sample]:
    """Return the pool's samples of one split, person as class 0.

    People's labels are used where the source has them. Where those are incomplete or missing,
    the teacher's (YOLOX-nano) boxes from ``TEACHER_SCORE`` are added.

    Raises:
        DataError: the folder is no such pool, or nothing in it has an allowed licence.
    """
    manifest = folder / "MANIFEST.tsv"
    if not manifest.is_file():
        raise DataError(f"{manifest} does not exist")
    with manifest.open(newline="") as file:
        samples = [
            _sample(folder, row)
            for row in csv.DictReader(file, delimiter="\t")
            if row["licence_class"] in licences and split in (None, row["split"])
        ]
    if not samples:
        raise DataError(f"{manifest}: no picture with licence {', '.join(sorted(licences))}")
    return samples


def _sample(folder: Path, row: dict[str, str]) -> Sample:
    name = Path(row["file"]).stem
    human, teacher = folder / "labels_human" / f"{name}.txt", folder / "labels_yolox"
    boxes = np.zeros((0, 4), np.float32)
    if human.exists():
        boxes = _people(read_yolo_labels(human))
    if not (human.exists() and name.startswith(COMPLETE)):
        labels = read_yolo_labels(teacher / f"{name}.txt")
        boxes = _merge(boxes, _people(labels[labels[:, 5] >= TEACHER_SCORE]))
    return Sample(
        folder / "images" / row["file"],
        boxes,
        np.zeros(len(boxes), np.int64),
        row["source"],
        row["licence_class"],
    )


def _people(labels: NDArray[np.float32]) -> NDArray[np.float32]:
    people: NDArray[np.float32] = labels[labels[:, 0] == PERSON][:, 1:5]
    return people


def _merge(human: NDArray[np.float32], found: NDArray[np.float32]) -> NDArray[np.float32]:
    """Add the found boxes that no human box explains (overlap below one half)."""
    if len(human) == 0 or len(found) == 0:
        return np.concatenate([human, found])
    low = np.maximum(found[:, None, :2], human[None, :, :2])
    high = np.minimum(found[:, None, 2:], human[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=2)
    own = (found[:, 2:] - found[:, :2]).prod(axis=1)
    new = (shared / own[:, None]).max(axis=1) < 0.5
    return np.concatenate([human, found[new]])
