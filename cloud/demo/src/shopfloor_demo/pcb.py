"""DeepPCB (Tang et al., 2019) as it lies in the mirror: a good board, a part, and its defects."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from shopfloor_demo.errors import OperatorError

CLASSES = ("open", "short", "mousebite", "spur", "copper", "pin-hole")
"""In the data's order, whose numbers begin with 1."""
THRESHOLD = 127.0
"""The pictures are black and white already, but for what JPEG did to them."""
Grey = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Pair:
    """A good board, and the same with defects drawn into it."""

    name: str
    reference: Grey
    part: Grey
    boxes: NDArray[np.float32]
    """``(N, 4)`` xyxy in pixels."""
    classes: NDArray[np.int64]
    """``(N,)`` numbers into ``CLASSES``."""


def pairs(folder: Path, split: str) -> Iterator[Pair]:
    """Yield the pairs of ``train`` or ``val`` in the list's order.

    Raises:
        OperatorError: a file is missing or cannot be read.
    """
    try:
        names = (folder / f"{split}.txt").read_text(encoding="utf-8").split()
        for name in names:
            lines = (folder / f"{name}.txt").read_text(encoding="utf-8").splitlines()
            rows = np.array([line.split() for line in lines if line.strip()], np.float32)
            rows = rows.reshape(-1, 5)
            reference, part = (_read(folder / f"{name}_{kind}.jpg") for kind in ("temp", "test"))
            yield Pair(name, reference, part, rows[:, :4], rows[:, 4].astype(np.int64) - 1)
    except OSError as e:
        raise OperatorError(f"{e.filename}: {e.strerror}; DeepPCB lies in the mirror") from e


def _read(path: Path) -> Grey:
    picture = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    if picture is None:
        raise OperatorError(f"{path}: no picture")
    return np.asarray(picture, np.uint8)
