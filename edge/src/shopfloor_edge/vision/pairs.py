"""Crossings of two models on the same frames, matched one to one. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from shopfloor_edge.analytics.lines import Crossing

APART_S = 1.5
"""Two models place the same step over a line some frames apart."""


@dataclass(slots=True)
class Agreement:
    """Of one line."""

    agreed: int = 0
    only_old: int = 0
    only_new: int = 0


@dataclass(slots=True)
class CrossingPairs:
    """One camera's. ``take`` gives what is certain; what may still find a partner waits."""

    sums: dict[str, Agreement] = field(default_factory=dict)
    _old: list[Crossing] = field(default_factory=list)
    _new: list[Crossing] = field(default_factory=list)

    def add(self, old: Iterable[Crossing], new: Iterable[Crossing], at_s: float) -> None:
        """Take a frame's crossings, at ``at_s`` of the camera's time."""
        for crossing in old:
            self._match(crossing, self._new, self._old)
        for crossing in new:
            self._match(crossing, self._old, self._new)
        for waiting, name in ((self._old, "only_old"), (self._new, "only_new")):
            while waiting and at_s - waiting[0].at_s > APART_S:
                sums = self._line(waiting.pop(0).line)
                setattr(sums, name, getattr(sums, name) + 1)

    def take(self) -> dict[str, Agreement]:
        """Return the sums since the last time, by line."""
        sums, self.sums = self.sums, {}
        return sums

    def _match(self, one: Crossing, others: list[Crossing], own: list[Crossing]) -> None:
        """Pair with the oldest that fits, or wait."""
        for number, other in enumerate(others):
            same = (one.line, one.direction) == (other.line, other.direction)
            if same and abs(one.at_s - other.at_s) <= APART_S:
                del others[number]
                self._line(one.line).agreed += 1
                return
        own.append(one)

    def _line(self, name: str) -> Agreement:
        return self.sums.setdefault(name, Agreement())
