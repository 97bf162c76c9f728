"""What lines and zones would have counted: recorded foot points through the counters themselves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from shopfloor_edge.analytics.lines import Direction, LineCounter
from shopfloor_edge.analytics.zones import ZoneCounter

GAP_MAX_S = 2.0
"""Time between frames further apart was not observed."""

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Footprint:
    """One recorded frame."""

    at_s: float
    size: tuple[int, int]
    ids: NDArray[np.int64]
    """``(T,)``."""
    points: NDArray[np.float64]
    """``(T, 2)``, shares of the picture."""


@dataclass(slots=True)
class LineTrial:
    """A line over the recording."""

    crossings_in: int = 0
    crossings_out: int = 0
    at_s: list[float] = field(default_factory=list)
    """Of each crossing."""


@dataclass(slots=True)
class ZoneTrial:
    """A zone over the recording."""

    people_max: int = 0
    people_s: float = 0.0
    people_last: int = 0
    """On the last frame."""


@dataclass(slots=True)
class Trial:
    """What the geometry would have counted."""

    lines: dict[str, LineTrial]
    zones: dict[str, ZoneTrial]
    frames: int = 0
    observed_s: float = 0.0
    first_s: float | None = None
    last_s: float | None = None


def replay(
    footprints: Iterable[Footprint],
    lines: Mapping[str, tuple[Point, Point]],
    zones: Mapping[str, Sequence[Point]],
) -> Trial:
    """Count again; footprints in the order of time, a quiet frame may be left out.

    Args:
        lines: ends ``a`` and ``b`` of each.
        zones: corners of each.
    """
    counters = [LineCounter(name, a, b) for name, (a, b) in lines.items()]
    counted = [ZoneCounter(name, list(polygon)) for name, polygon in zones.items()]
    trial = Trial({name: LineTrial() for name in lines}, {name: ZoneTrial() for name in zones})
    for print_ in footprints:
        _add_time(trial, print_.at_s)
        points = print_.points * np.array(print_.size)
        for counter in counters:
            for crossing in counter.update(print_.ids, points, size=print_.size, at_s=print_.at_s):
                line = trial.lines[crossing.line]
                line.crossings_in += crossing.direction is Direction.IN
                line.crossings_out += crossing.direction is Direction.OUT
                line.at_s.append(crossing.at_s)
        for zone in counted:
            people = zone.count(points, size=print_.size)
            sums = trial.zones[zone.name]
            sums.people_last, sums.people_max = people, max(people, sums.people_max)
    return trial


def _add_time(trial: Trial, at_s: float) -> None:
    """Count the time since the frame before, in which everybody stayed where they were."""
    trial.frames += 1
    if trial.last_s is not None and 0 < at_s - trial.last_s <= GAP_MAX_S:
        elapsed_s = at_s - trial.last_s
        trial.observed_s += elapsed_s
        for zone in trial.zones.values():
            zone.people_s += elapsed_s * zone.people_last
    trial.first_s = at_s if trial.first_s is None else trial.first_s
    trial.last_s = at_s
