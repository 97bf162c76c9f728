"""A labelled picture, and the readers of YOLO folders."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from shopfloor_models.errors import DataError

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")


@dataclass(frozen=True, slots=True)
class Sample:
    """One picture."""

    image: Path
    boxes: NDArray[np.float32]
    """``(N, 4)`` xyxy as shares of width and height."""
    classes: NDArray[np.int64]
    """``(N,)`` index into the dataset's classes."""
    source: str
    licence_class: str
    scores: NDArray[np.float32] | None = None
    """``(N,)`` how sure the labeller was, in [0, 1]; None for people, who are sure."""

    def label_scores(self) -> NDArray[np.float32]:
        """Return ``(N,)`` scores; 1 where nobody was asked."""
        return np.ones(len(self.boxes), np.float32) if self.scores is None else self.scores


def read_yolo_labels(path: Path) -> NDArray[np.float32]:
    """Read ``class x y w h [score]`` lines.

    Returns:
        ``(N, 6)`` class, x1, y1, x2, y2 as shares, score (1 where the file has none).

    Raises:
        DataError: a line is not of that form, or a box lies outside the picture.
    """
    rows = []
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        fields = line.split()
        if not fields:
            continue
        try:
            values = [float(field) for field in fields]
        except ValueError as e:
            raise DataError(f"{path}:{number}: {line[:60]!r} is no label") from e
        if len(values) not in (5, 6):
            raise DataError(f"{path}:{number}: {len(values)} fields, expected 5 or 6")
        rows.append(_corners(values, f"{path}:{number}"))
    return np.array(rows, np.float32).reshape(-1, 6)


def _corners(values: list[float], where: str) -> list[float]:
    kind, x, y, width, height = values[:5]
    corners = [x - width / 2, y - height / 2, x + width / 2, y + height / 2]
    if kind < 0 or kind != int(kind) or width <= 0 or height <= 0:
        raise DataError(f"{where}: class {kind:g}, size {width:g} x {height:g}")
    # Rounding in the label file may put a box a hair outside.
    if min(corners) < -0.01 or max(corners) > 1.01:
        raise DataError(f"{where}: the box {[round(c, 3) for c in corners]} leaves the picture")
    score = values[5] if len(values) == 6 else 1.0
    return [kind, *(min(1.0, max(0.0, corner)) for corner in corners), score]


def images_in(folder: Path) -> Iterator[Path]:
    """Yield a folder's pictures in the order of their names."""
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in IMAGE_SUFFIXES:
            yield path
