"""Crossings of a counting line.

Definition: a track crosses when its foot point (middle of the box's lower edge) has been at
least ``HYSTERESIS`` on one side and is then at least as far on the other, and the way between
those two points cuts the *segment*. A track that dithers on the line, or walks around its end,
does not cross. A track that is hidden in between still crosses once.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from math import hypot, nan

import numpy as np
from numpy.typing import NDArray

HYSTERESIS = 0.01
"""In frame heights: a box that jitters by this much is standing still."""
FORGET_S = 10.0

Points = NDArray[np.floating]
Point = tuple[float, float]


class Direction(StrEnum):
    """As seen by one who stands on ``a`` and looks at ``b``: left to right is in."""

    IN = "in"
    OUT = "out"


@dataclass(frozen=True, slots=True)
class Crossing:
    """One track, one line, one direction, once."""

    line: str
    track: int
    direction: Direction
    at_s: float


@dataclass(slots=True)
class _Foot:
    """Where a track was last clearly on one side."""

    side: int
    point: Point
    """In frame heights."""
    seen_at_s: float


def feet(boxes: NDArray[np.floating]) -> Points:
    """Return the middle of the lower edge of ``(N, 4)`` xyxy boxes, ``(N, 2)`` in pixels."""
    return np.stack([(boxes[:, 0] + boxes[:, 2]) / 2, boxes[:, 3]], axis=1)


class LineCounter:
    """Crossings of one line of one camera.

    Args:
        a, b: ends of the segment, shares of the frame's width and height.
    """

    def __init__(self, name: str, a: Point, b: Point) -> None:
        self._name = name
        self._a, self._b = a, b
        self._feet: dict[int, _Foot] = {}

    def update(
        self, ids: NDArray[np.int64], points: Points, *, size: tuple[int, int], at_s: float
    ) -> list[Crossing]:
        """Take one frame's tracks.

        Args:
            ids: ``(T,)`` track numbers.
            points: ``(T, 2)`` foot points in pixels.
            size: width and height of the frame in pixels.
            at_s: time of the frame.
        """
        # Numbers and not arrays: a frame has few people, and an array of three costs more.
        scale, height = size[0] / size[1], size[1]
        start = (self._a[0] * scale, self._a[1])
        along = ((self._b[0] - self._a[0]) * scale, self._b[1] - self._a[1])
        length = hypot(*along) or nan
        crossings = []
        for track, (x, y) in zip(ids.tolist(), points.tolist(), strict=True):
            point = (x / height, y / height)
            far = along[0] * (point[1] - start[1]) - along[1] * (point[0] - start[0])
            far /= length
            foot = self._feet.get(track)
            if foot is not None:
                foot.seen_at_s = at_s
            if abs(far) < HYSTERESIS:
                continue
            side = 1 if far > 0 else -1
            if foot is not None and side != foot.side and _cuts(foot.point, point, start, along):
                # With y down, a positive distance is the right hand of one who looks from a to b.
                direction = Direction.IN if side > 0 else Direction.OUT
                crossings.append(Crossing(self._name, track, direction, at_s))
            self._feet[track] = _Foot(side, point, at_s)
        self._forget(at_s)
        return crossings

    def _forget(self, at_s: float) -> None:
        gone = [t for t, foot in self._feet.items() if at_s - foot.seen_at_s > FORGET_S]
        for track in gone:
            del self._feet[track]


def _cuts(start: Point, end: Point, a: Point, along: Point) -> bool:
    """Say whether the way from ``start`` to ``end``, which changes sides, meets the segment."""
    way = (end[0] - start[0], end[1] - start[1])
    cross = along[0] * way[1] - along[1] * way[0]
    share = ((start[0] - a[0]) * way[1] - (start[1] - a[1]) * way[0]) / cross
    return 0.0 <= share <= 1.0
