"""The parts of the simulated line: good most of the time, until a process goes wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from shopfloor_demo.boards import Picture, as_seen, draw_board, spoil

PRODUCTS = 6
NORMAL_RATE, BURST_RATE = 0.01, 0.3
BURST_AT = 101
"""The first part after something at the line has broken."""
_FOLDER = Path("data") / "deeppcb"


@dataclass(frozen=True, slots=True)
class Part:
    """One part before the camera."""

    number: int
    product: str
    picture: Picture
    is_bad: bool
    """The truth, which the station is not told."""


@dataclass(frozen=True, slots=True)
class Product:
    """A good board, and how one of it goes wrong."""

    name: str
    good: Picture
    bad: Callable[[np.random.Generator], Picture]


def products(mirror: Path | None) -> list[Product]:
    """Return boards of DeepPCB's training list, or boards of our own without the mirror."""
    folder = None if mirror is None else mirror / _FOLDER
    if folder is None or not (folder / "train.txt").is_file():
        return [_drawn(number) for number in range(PRODUCTS)]
    names = (folder / "train.txt").read_text().split()
    return [_photographed(folder, name) for name in names[:: len(names) // PRODUCTS][:PRODUCTS]]


class Supply:
    """Gives one part after the other; the same seed gives the same."""

    def __init__(self, kinds: list[Product], seed: int = 2) -> None:
        self._kinds, self._rng = kinds, np.random.default_rng(seed)
        self._given = 0

    def next(self) -> Part:
        """Return the next part."""
        self._given += 1
        kind = self._kinds[self._given % len(self._kinds)]
        rate = BURST_RATE if self._given >= BURST_AT else NORMAL_RATE
        is_bad = bool(self._rng.random() < rate)
        picture = kind.bad(self._rng) if is_bad else kind.good
        return Part(self._given, kind.name, as_seen(picture, self._rng), is_bad)


def _drawn(number: int) -> Product:
    board = draw_board(number)

    def bad(rng: np.random.Generator) -> Picture:
        return spoil(board, rng, int(rng.integers(1, 4)))[0]

    return Product(f"drawn-{number + 1}", board.picture, bad)


def _photographed(folder: Path, name: str) -> Product:
    good, bad = (_read(folder / f"{name}_{kind}.jpg") for kind in ("temp", "test"))
    return Product(f"pcb-{name}", good, lambda _rng: bad)


def _read(path: Path) -> Picture:
    return np.asarray(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE), np.uint8)
