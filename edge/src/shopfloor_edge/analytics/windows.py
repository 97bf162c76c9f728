"""Window aggregates: what happened in a stretch of time, and how much of it was really seen.

Windows are aligned to the epoch. Time between two frames counts as observed when it is at most
``max_gap_s``; what the earlier frame showed holds until the later one. An analytic without a
reading in a window leaves no sums there: nothing is not the same as zero.

A clock that is set back closes the open window early; a second one with the same start may
follow, and their sums add. One that is set forward by more than ``UNSEEN_MAX_S`` leaves no
windows in between.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from shopfloor_edge.analytics.lines import Crossing, Direction

BUCKETS = 8
UNSEEN_MAX_S = 86_400.0
"""Windows of a camera that is away are reported one by one for so long."""


class Sums(Protocol):
    """Mergeable figures of one analytic in one window."""

    def hold(self, level: Any, seconds: float) -> None:
        """Count time in which the analytic's level was ``level``."""

    def add(self, occurrence: Any) -> None:
        """Count something that happened on one frame."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What one analytic says about one frame."""

    level: object = None
    """Holds until the next frame."""
    happened: Sequence[object] = ()
    """Each belongs to the window of this frame, and to no other."""


@dataclass(slots=True)
class ZoneSums:
    """Mergeable figures of one zone."""

    people_s: float = 0.0
    people_max: int = 0
    histogram_s: list[float] = field(default_factory=lambda: [0.0] * BUCKETS)


@dataclass(slots=True)
class WindowSums:
    """One window of one camera, open or closed."""

    start_s: float
    window_s: float
    observed_s: float = 0.0
    frames: int = 0
    crossings: dict[str, dict[Direction, int]] = field(default_factory=dict)
    zones: dict[str, ZoneSums] = field(default_factory=dict)
    sums: dict[str, Sums] = field(default_factory=dict)
    """Of further analytics, by key; only of those that were read."""

    @property
    def end_s(self) -> float:
        """First instant that belongs to the next window."""
        return self.start_s + self.window_s

    @property
    def coverage_ratio(self) -> float:
        """Share of the window that was observed, in [0, 1]."""
        return min(1.0, self.observed_s / self.window_s)


class WindowAggregator:
    """Windows of one camera.

    Args:
        edges: lower bounds of the occupancy histogram's buckets from the second on.
        max_gap_s: longer without a frame is not observed.
        analytics: makes the empty sums of each further analytic, by key.
    """

    def __init__(
        self,
        *,
        lines: Sequence[str],
        zones: Sequence[str],
        edges: Sequence[int],
        window_s: float,
        max_gap_s: float,
        analytics: Mapping[str, Callable[[], Sums]] | None = None,
    ) -> None:
        self._lines, self._zones, self._edges = lines, zones, edges
        self._window_s, self._max_gap_s = window_s, max_gap_s
        self._analytics = dict(analytics or {})
        self._readings: Mapping[str, Reading] = {}
        self._open: WindowSums | None = None
        self._last_s: float | None = None
        self._counts: Mapping[str, int] = {}

    def observe(
        self,
        at_s: float,
        crossings: Sequence[Crossing],
        counts: Mapping[str, int],
        readings: Mapping[str, Reading] | None = None,
    ) -> list[WindowSums]:
        """Take one inferred frame, return the windows that ended before it.

        A crossing belongs to the window of the frame on which it was counted, so that windows
        never overlap-count. ``readings`` are by the keys of ``analytics``.
        """
        closed = self.hold(at_s)
        window = self._window_at(at_s)
        window.frames += 1
        for crossing in crossings:
            window.crossings[crossing.line][crossing.direction] += 1
        for zone, people in counts.items():
            window.zones[zone].people_max = max(window.zones[zone].people_max, people)
        self._counts, self._readings = counts, readings or {}
        for key, reading in self._readings.items():
            sums = self._sums(window, key)
            for occurrence in reading.happened:
                sums.add(occurrence)
        return closed

    def happened(self, key: str, occurrence: object) -> None:
        """Count something without a frame, in the open window: the end of a file."""
        if self._open is not None:
            self._sums(self._open, key).add(occurrence)

    def hold(self, at_s: float) -> list[WindowSums]:
        """Take one frame that was watched but not inferred: all is as in the frame before.

        Returns the windows that ended before it.
        """
        closed = self._step_back(at_s)
        if self._last_s is not None and 0 < at_s - self._last_s <= self._max_gap_s:
            closed += self._observed(self._last_s, at_s)
        closed += self.advance(at_s)
        self._last_s = at_s
        return closed

    def advance(self, to_s: float) -> list[WindowSums]:
        """Close every window that ended at or before ``to_s``, quiet and unseen ones too."""
        closed = []
        window = self._window_at(to_s)
        if to_s - window.end_s > UNSEEN_MAX_S:
            closed.append(window)
            self._open = window = self._fresh(to_s // self._window_s * self._window_s)
        while window.end_s <= to_s:
            closed.append(window)
            self._open = window = self._fresh(window.end_s)
        return closed

    def settle(self, now_s: float) -> list[WindowSums]:
        """Close what no further frame can add to: call it when no frame comes."""
        return self.advance(now_s - self._max_gap_s) if self._open is not None else []

    def close(self) -> WindowSums | None:
        """Return the open window as it is: the end of a file, or the process stops."""
        closed, self._open, self._last_s = self._open, None, None
        return closed

    def _observed(self, start_s: float, end_s: float) -> list[WindowSums]:
        """Add the time between two frames, split at the windows' borders."""
        closed = []
        while start_s < end_s:
            closed += self.advance(start_s)
            window = self._window_at(start_s)
            part_s = min(end_s, window.end_s) - start_s
            window.observed_s += part_s
            for zone, people in self._counts.items():
                sums = window.zones[zone]
                sums.people_s += people * part_s
                sums.people_max = max(sums.people_max, people)
                sums.histogram_s[bisect_right(self._edges, people)] += part_s
            for key, reading in self._readings.items():
                self._sums(window, key).hold(reading.level, part_s)
            start_s = min(end_s, window.end_s)
        return closed

    def _step_back(self, at_s: float) -> list[WindowSums]:
        """Close the open window when the clock was set back: its time would be told twice."""
        back_to_s = self._last_s - self._max_gap_s if self._last_s is not None else at_s
        if self._open is None or at_s >= max(self._open.start_s, back_to_s):
            return []
        closed, self._open, self._last_s = [self._open], None, None
        return closed

    def _sums(self, window: WindowSums, key: str) -> Sums:
        if key not in window.sums:
            window.sums[key] = self._analytics[key]()
        return window.sums[key]

    def _window_at(self, at_s: float) -> WindowSums:
        if self._open is None:
            self._open = self._fresh(at_s // self._window_s * self._window_s)
        return self._open

    def _fresh(self, start_s: float) -> WindowSums:
        return WindowSums(
            start_s=start_s,
            window_s=self._window_s,
            crossings={line: dict.fromkeys(Direction, 0) for line in self._lines},
            zones={zone: ZoneSums() for zone in self._zones},
        )
