"""The mirror's pool of people: which picture may train what, and whose labels it has."""

from __future__ import annotations

import csv
from collections.abc import Collection
from pathlib import Path

import numpy as np

from shopfloor_models.data.samples import Sample, read_yolo_labels
from shopfloor_models.errors import DataError

TRAINABLE = ("cc-by", "cc-by(openimages-like)", "cc-by-claimed(web)", "flickr-mixed")
"""Licence classes that may train what is shipped (the pool's README)."""
COMPLETE = ("coco", "voc12")
"""Sources whose human labels name everybody; of the others the teacher's labels are taken."""
TEACHER_SCORE = 0.35
PERSON = 0


def load_pool(
    folder: Path, *, split: str | None, licences: Collection[str] = TRAINABLE
) -> list[Sample]:
    """Return the pool's samples of one split, person as class 0.

    People's labels are used where they are complete, elsewhere the teacher's (YOLOX-nano) boxes
    from ``TEACHER_SCORE``. Incomplete ones teach that the people they leave out are none: with
    them the student reached AP .387 on the complete part of ``val``, without them .395.

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
    human = folder / "labels_human" / f"{name}.txt"
    if human.exists() and name.startswith(COMPLETE):
        labels = read_yolo_labels(human)
    else:
        labels = read_yolo_labels(folder / "labels_yolox" / f"{name}.txt")
    people = labels[(labels[:, 0] == PERSON) & (labels[:, 5] >= TEACHER_SCORE)]
    return Sample(
        folder / "images" / row["file"],
        people[:, 1:5],
        np.zeros(len(people), np.int64),
        row["source"],
        row["licence_class"],
        people[:, 5],
    )
