"""Which moments of a day are kept as clips: drawn before the day, never after what was counted.

Time is cut into equal positions. Each hour is a stratum: half of the clips are spread evenly over
the hours, the other half by how busy each hour was in the days before; within an hour every
position is as likely. A position's probability is recorded with it, so that quiet hours and busy
ones weigh in the result as they weigh in the day.
Source: Cochran 1977, "Sampling Techniques", chapters 5 (strata) and 5A (rounding at random).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random

EVEN_SHARE = 0.5
"""Of the clips, whatever was busy: an hour in which nobody was seen may be one of missed people."""


@dataclass(frozen=True, slots=True)
class Position:
    """A stretch of time that is to be kept."""

    began_s: float
    """Seconds since the epoch, a multiple of the step."""
    hour: int
    """Of the day, local, 0–23."""
    probability: float
    """That the drawing takes it, in (0, 1]."""


def draw_day(
    start_s: float,
    end_s: float,
    step_s: float,
    *,
    hour_of: Callable[[float], int],
    wanted: Mapping[int, float],
    random: Random,
) -> list[Position]:
    """Draw the positions of one day, in order.

    Args:
        start_s, end_s: seconds since the epoch; only whole positions between them.
        hour_of: local hour of an instant.
        wanted: expected clips of each hour (``allocate``).
        random: seeded by the caller, who records the seed.
    """
    grid: dict[int, list[float]] = {}
    number = -int(-start_s // step_s)
    while (number + 1) * step_s <= end_s:
        grid.setdefault(hour_of(number * step_s), []).append(number * step_s)
        number += 1
    drawn = []
    for hour, positions in sorted(grid.items()):
        expected = min(wanted.get(hour, 0.0), float(len(positions)))
        clips = _rounded(expected, random)
        probability = expected / len(positions)
        drawn += [Position(at_s, hour, probability) for at_s in random.sample(positions, clips)]
    return sorted(drawn, key=lambda position: position.began_s)


def allocate(
    busy: Mapping[int, float], hours: Mapping[int, float], clips: float
) -> dict[int, float]:
    """Return the expected clips of each hour; they add up to ``clips``.

    Args:
        busy: mean head count of each hour in the days before; absent is not known.
        hours: length of each hour that is left of the day, in seconds.
    """
    whole_s = sum(hours.values())
    if not whole_s:
        return {}
    traffic = {hour: busy.get(hour, 0.0) * length_s for hour, length_s in hours.items()}
    people = sum(traffic.values())
    even = EVEN_SHARE if people else 1.0
    return {
        hour: clips
        * (even * length_s / whole_s + ((1 - even) * traffic[hour] / people if people else 0.0))
        for hour, length_s in hours.items()
    }


def _rounded(expected: float, random: Random) -> int:
    """Return a whole number whose expectation is ``expected``."""
    whole = int(expected)
    return whole + (random.random() < expected - whole)
