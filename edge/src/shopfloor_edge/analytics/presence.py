"""People where, for so long, or going in a way that they should not: once per person.

Loitering is a visit longer than a limit; a restricted zone is the same with a limit that only
rules out a glimpse. The wrong way is a crossing in the forbidden direction, or going back by
``BACK_MIN`` against the allowed heading inside a zone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shopfloor_edge.analytics.clock import SteadyClock
from shopfloor_edge.analytics.dwell import Stay
from shopfloor_edge.analytics.lines import Crossing, Direction
from shopfloor_edge.analytics.zones import inside

GLIMPSE_S = 0.5
"""A person in a restricted zone for less may be a box that jumped."""
BACK_MIN = 0.1
"""In frame heights: further back than swaying."""
FORGET_S = 10.0


@dataclass(frozen=True, slots=True)
class Observation:
    """One person did what a rule is about."""

    about: str
    """Name of the zone or line."""
    track: int
    value: float
    """Seconds in the zone; 1 for a crossing; frame heights gone back."""
    at_s: float


class StayLimit:
    """Tells of each visit to a zone once, when it gets longer than ``limit_s``."""

    def __init__(self, zone: str, limit_s: float = GLIMPSE_S) -> None:
        self._zone, self._limit_s = zone, limit_s
        self._told: set[int] = set()

    def update(self, stays: Sequence[Stay], *, at_s: float) -> list[Observation]:
        """Take the visits that go on (``ZoneVisits.present``)."""
        long = [s for s in stays if s.dwell_s > self._limit_s and s.number not in self._told]
        self._told &= {stay.number for stay in stays}
        self._told |= {stay.number for stay in long}
        return [Observation(self._zone, stay.track, stay.dwell_s, at_s) for stay in long]


def wrong_crossings(
    crossings: Sequence[Crossing], *, line: str, forbidden: Direction
) -> list[Observation]:
    """Return the crossings of ``line`` in the forbidden direction."""
    return [
        Observation(line, crossing.track, 1.0, crossing.at_s)
        for crossing in crossings
        if crossing.line == line and crossing.direction is forbidden
    ]


@dataclass(slots=True)
class _Way:
    furthest: float
    """Progress along the heading, in frame heights."""
    told: bool
    seen_s: float


class HeadingWatch:
    """People who go against the allowed way through a zone.

    Args:
        polygon: corners as shares of the frame's width and height.
        heading: the allowed way, x to the right and y down, of any length but 0.
    """

    def __init__(
        self,
        zone: str,
        polygon: Sequence[tuple[float, float]],
        *,
        heading: tuple[float, float],
    ) -> None:
        self._zone, self._polygon = zone, np.array(polygon, np.float64)
        self._heading = np.array(heading) / np.hypot(*heading)
        self._clock = SteadyClock()
        self._ways: dict[int, _Way] = {}

    def update(
        self,
        ids: NDArray[np.int64],
        points: NDArray[np.floating],
        *,
        size: tuple[int, int],
        at_s: float,
    ) -> list[Observation]:
        """Take one frame's tracks: ``(T,)`` numbers and ``(T, 2)`` foot points in pixels."""
        self._clock.tick(at_s)
        scaled = np.asarray(points, np.float64).reshape(-1, 2) / size[1]
        within = inside(scaled, self._polygon * np.array([size[0] / size[1], 1.0]))
        found = []
        for track, progress in zip(
            ids[within].tolist(), (scaled[within] @ self._heading).tolist(), strict=True
        ):
            way = self._ways.setdefault(track, _Way(progress, told=False, seen_s=0.0))
            way.furthest, way.seen_s = max(way.furthest, progress), self._clock.now_s
            if way.furthest - progress >= BACK_MIN and not way.told:
                way.told = True
                found.append(Observation(self._zone, track, way.furthest - progress, at_s))
        old_s = self._clock.now_s - FORGET_S
        self._ways = {track: way for track, way in self._ways.items() if way.seen_s >= old_s}
        return found
