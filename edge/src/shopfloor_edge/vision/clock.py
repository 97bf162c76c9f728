"""Wall time for live cameras: what the clock says now, and that no window is reported twice.

Frames carry monotonic time. The wall clock is that plus an offset, which changes when somebody
sets the clock: NTP after a long night without power, a person, a resume from sleep.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

STEP_S = 0.5
"""NTP slews smaller errors without a step; reading two clocks never takes so long."""
SPANS_MAX = 64
"""Remembered after so many steps; a device with more has no usable clock."""


@dataclass(frozen=True, slots=True)
class Clock:
    """The two clocks of a machine, as functions; tests give their own."""

    monotonic: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time

    def offset_s(self) -> float:
        """Return what added to monotonic time gives seconds since the epoch."""
        return self.wall() - self.monotonic()


class OffsetWatch:
    """Holds the offset still and notices when the wall clock was set."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.offset_s = clock.offset_s()

    def step_s(self) -> float | None:
        """Return by how much the clock was set since it was asked last, or None."""
        step_s = self._clock.offset_s() - self.offset_s
        if abs(step_s) < STEP_S:
            return None
        self.offset_s += step_s
        return step_s


@dataclass(slots=True)
class ReportedSpans:
    """Stretches of wall time whose windows have been reported before the clock was set.

    When the clock comes to one of them again, time stands still at its end: what happens then
    belongs to the first window after it. Counts are late, but neither lost nor reported under a
    window's name that was used already.
    """

    _spans: list[tuple[float, float]] = field(default_factory=list)

    def add(self, start_s: float, end_s: float) -> None:
        """Remember that every window from ``start_s`` to ``end_s`` has been reported."""
        self._spans.append((start_s, end_s))
        self._spans.sort()
        del self._spans[:-SPANS_MAX]

    def after(self, at_s: float) -> float:
        """Return ``at_s``, or the end of the reported stretch that it falls into."""
        for start_s, end_s in self._spans:
            if start_s <= at_s < end_s:
                at_s = end_s
        return at_s

    def cover(self, window_start_s: float) -> bool:
        """Say whether the window that begins then has been reported."""
        return self.after(window_start_s) != window_start_s
