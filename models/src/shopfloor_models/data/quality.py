"""Gates on a dataset's pictures: each looks at all of it and names what is wrong, line by line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from shopfloor_models.data.problems import Problem, Severity, error, warning
from shopfloor_models.data.scan import Item, Scan
from shopfloor_models.errors import DataError

HASH_SIDE = 16
_ROWS = 256
"""Hashes compared at a time, so that memory stays small."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What one look at a picture gives; the pixels are not kept."""

    item: Item
    size_px: tuple[int, int] | None
    """Width and height; None for a file that is no picture."""
    bits: NDArray[np.uint64]
    """``(4,)``: whether brightness rises from each of 16 x 16 cells to the next."""

    @property
    def name(self) -> str:
        """Source and file."""
        return f"{self.item.sample.source}/{self.item.sample.image.name}"


Gate = Callable[[Scan, list[Seen]], Iterator[Problem]]


def check(scan: Scan, tell: Callable[[int], None] = lambda _done: None) -> list[Problem]:
    """Return every problem, errors first; ``tell`` hears how many pictures were read."""
    seen = []
    for done, item in enumerate(scan.items, start=1):
        seen.append(_look(item))
        tell(done)
    problems = [*scan.problems, *(problem for gate in GATES for problem in gate(scan, seen))]
    return sorted(problems, key=lambda problem: problem.severity is not Severity.ERROR)


def refuse(problems: list[Problem], name: str) -> None:
    """Raise the first error.

    Raises:
        DataError: there is one.
    """
    errors = [problem for problem in problems if problem.severity is Severity.ERROR]
    if errors:
        more = f" (and {len(errors) - 1} more: shopfloor-models data check)" * (len(errors) > 1)
        raise DataError(f"dataset {name}: {errors[0].where}: {errors[0].message}{more}")


def broken_pictures(_scan: Scan, seen: list[Seen]) -> Iterator[Problem]:
    """Name files that cannot be decoded."""
    for picture in seen:
        if picture.size_px is None:
            yield error("picture", picture.name, "no picture that can be read")


def wrong_boxes(scan: Scan, seen: list[Seen]) -> Iterator[Problem]:
    """Name boxes that leave their picture, are empty, or are too small to learn from."""
    limit = scan.dataset.quality.min_box_px
    for picture in seen:
        boxes = picture.item.sample.boxes
        sides = boxes[:, 2:] - boxes[:, :2]
        for number in np.flatnonzero((sides <= 0).any(axis=1)):
            yield error("boxes", picture.name, f"box {number} is empty")
        outside = (boxes.min(axis=1, initial=0) < -0.01) | (boxes.max(axis=1, initial=0) > 1.01)
        for number in np.flatnonzero(outside):
            corners = [round(float(value), 3) for value in boxes[number]]
            yield error("boxes", picture.name, f"box {number} {corners} leaves the picture")
        if picture.size_px is not None:
            small = (sides * np.array(picture.size_px) < limit).any(axis=1) & (sides > 0).all(
                axis=1
            )
            for number in np.flatnonzero(small):
                size = " x ".join(f"{v:.1f}" for v in sides[number] * np.array(picture.size_px))
                yield warning(
                    "boxes", picture.name, f"box {number} is {size} px, the limit is {limit:g}"
                )


def class_balance(scan: Scan, _seen: list[Seen]) -> Iterator[Problem]:
    """Name classes without boxes to learn from, with few, and a lopsided dataset."""
    limits, name = scan.dataset.quality, scan.dataset.name
    counts = Counter(
        int(kind) for sample in scan.samples("train") for kind in sample.classes.tolist()
    )
    for number, kind in enumerate(scan.dataset.classes):
        if counts[number] == 0:
            yield error("classes", name, f"class {kind!r} has no box in the training split")
        elif counts[number] < limits.min_class_boxes:
            yield warning(
                "classes",
                name,
                f"class {kind!r} has {counts[number]} boxes, expected {limits.min_class_boxes}",
            )
    if counts and max(counts.values()) > limits.max_class_ratio * min(counts.values()):
        most, least = max(counts, key=lambda n: counts[n]), min(counts, key=lambda n: counts[n])
        yield warning(
            "classes",
            name,
            f"{scan.dataset.classes[most]!r} has {counts[most]} boxes, "
            f"{scan.dataset.classes[least]!r} {counts[least]}",
        )


def splits(scan: Scan, _seen: list[Seen]) -> Iterator[Problem]:
    """Say when nothing is kept to validate with, or to train on."""
    name = scan.dataset.name
    if not scan.samples("train"):
        yield error("splits", name, "0 pictures in the training split")
    if not scan.samples("val"):
        yield warning("splits", name, "one scene only: 0 pictures to validate with")


def duplicates(scan: Scan, seen: list[Seen]) -> Iterator[Problem]:
    """Name pictures that are there twice; across splits it is leakage and refused."""
    seen = [picture for picture in seen if picture.size_px is not None]
    for number, other in _twins(seen, scan.dataset.quality.near_duplicate_bits):
        picture, earlier = seen[number], seen[other]
        exact = picture.item.sha256 == earlier.item.sha256
        what = f"{'the same as' if exact else 'nearly the same as'} {earlier.name}"
        if picture.item.split != earlier.item.split:
            what += f", {picture.item.split} against {earlier.item.split}"
            yield error("leakage", picture.name, what)
        else:
            yield warning("duplicates", picture.name, what)


GATES: tuple[Gate, ...] = (broken_pictures, wrong_boxes, class_balance, splits, duplicates)


def _twins(seen: list[Seen], limit: int) -> Iterator[tuple[int, int]]:
    """Yield each picture's first earlier twin, one of the other split before one of its own."""
    bits = np.array([picture.bits for picture in seen], np.uint64).reshape(-1, 4)
    is_val = np.array([picture.item.split == "val" for picture in seen], bool)
    for start in range(0, len(seen), _ROWS):
        rows = bits[start : start + _ROWS]
        apart = np.bitwise_count(rows[:, None] ^ bits[None]).sum(axis=2, dtype=np.int64)
        for row in range(len(rows)):
            number = start + row
            earlier = np.flatnonzero(apart[row, :number] <= limit)
            if len(earlier):
                leaked = earlier[is_val[earlier] != is_val[number]]
                yield number, int(leaked[0] if len(leaked) else earlier[0])


def _look(item: Item) -> Seen:
    image = cv2.imread(str(item.sample.image), cv2.IMREAD_COLOR)
    if image is None:
        return Seen(item, None, np.zeros(4, np.uint64))
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    cells = cv2.resize(grey, (HASH_SIDE + 1, HASH_SIDE), interpolation=cv2.INTER_AREA)
    rises = np.packbits(cells[:, 1:] > cells[:, :-1])
    return Seen(item, (image.shape[1], image.shape[0]), rises.view(np.uint64))
