"""What really happened on ``vtest.avi``: crossings by the counter's own rule on people's boxes.

The clip is MOT15's PETS09-S2L1 frame for frame. Where the mirror has its boxes, the truth of any
line is computed from them; the crossings of one line are also kept here.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np
from scipy.optimize import linear_sum_assignment

from shopfloor_contracts.site import LineSpec
from shopfloor_edge.analytics.lines import Crossing, Direction, LineCounter, feet

SIZE = (768, 576)
FPS = 10.0
TOLERANCE_S = 1.5
"""A crossing found at most so far from a true one of the same direction is that one."""


@dataclass(frozen=True, slots=True)
class Score:
    """One line, counted against the truth."""

    name: str
    truth: int
    counted: int
    true_positive: int

    @property
    def precision(self) -> float:
        """Share of the counted that happened; 1 when nothing was counted."""
        return self.true_positive / self.counted if self.counted else 1.0

    @property
    def recall(self) -> float:
        """Share of what happened that was counted; 1 when nothing happened."""
        return self.true_positive / self.truth if self.truth else 1.0

    @property
    def f1(self) -> float:
        """Harmonic mean of both."""
        both = self.precision + self.recall
        return 2 * self.precision * self.recall / both if both else 0.0


def boxes_file(mirror: Path | None) -> Path | None:
    """Return MOT15's ground truth in the mirror, or None."""
    if mirror is None:
        return None
    path = mirror / "data" / "mot15" / "PETS09-S2L1" / "gt" / "gt.txt"
    return path if path.is_file() else None


def crossings_from_boxes(path: Path, lines: list[LineSpec]) -> list[Crossing]:
    """Return the true crossings of ``lines``, counted on annotated boxes (MOT15 format)."""
    table = np.loadtxt(path, delimiter=",")
    counters = [LineCounter(line.name, line.a, line.b) for line in lines]
    crossings = []
    for number in range(1, int(table[:, 0].max()) + 1):
        rows = table[table[:, 0] == number]
        # MOT15 counts frames and pixels from 1.
        corner = rows[:, 2:4] - 1.0
        boxes = np.concatenate([corner, corner + rows[:, 4:6]], axis=1)
        ids, at_s = rows[:, 1].astype(np.int64), (number - 1) / FPS
        for counter in counters:
            crossings += counter.update(ids, feet(boxes), size=SIZE, at_s=at_s)
    return crossings


def kept_crossings() -> list[Crossing]:
    """Return the crossings of the line ``walkway`` (x = 0.45 W, y 0.24–0.56 H) kept here."""
    text = files("shopfloor_demo").joinpath("vtest_walkway.json").read_text()
    return [
        Crossing("walkway", number, Direction(row["direction"]), row["at_s"])
        for number, row in enumerate(json.loads(text)["crossings"])
    ]


def score(name: str, truth: list[Crossing], counted: list[Crossing]) -> Score:
    """Match counted with true crossings of line ``name`` one to one, by direction and time."""
    true = [crossing for crossing in truth if crossing.line == name]
    found = [crossing for crossing in counted if crossing.line == name]
    matched = 0
    if true and found:
        apart = np.array([[_apart(a, b) for b in found] for a in true])
        # As many pairs as possible first, then the nearest of them.
        cost = np.where(apart <= TOLERANCE_S, apart, 1e6)
        rows, columns = linear_sum_assignment(cost)
        matched = int((apart[rows, columns] <= TOLERANCE_S).sum())
    return Score(name, len(true), len(found), matched)


def _apart(a: Crossing, b: Crossing) -> float:
    return abs(a.at_s - b.at_s) if a.direction is b.direction else np.inf
