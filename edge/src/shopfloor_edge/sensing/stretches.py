"""Samples to stretches: cut at fixed instants, with what is missing, late, stuck or silent."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from shopfloor_edge.sensing.features import Signal

WHOLE_RATIO = 0.9
"""A stretch with fewer of its samples gives no figures: a spectrum of scraps means nothing."""
VALUE_MAX = 1e9
_CROWDED = 2
"""A stretch holds at most twice the samples that it should."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """The samples of ``[start_s, start_s + stretch_s)``."""

    start_s: float
    values: Signal
    whole: bool


@dataclass(slots=True)
class Cutter:
    """Cuts one sensor's samples at multiples of ``stretch_s`` since the epoch."""

    rate_hz: float
    stretch_s: float
    last_s: float = -math.inf
    """Instant of the newest sample."""
    refused: int = 0
    """Samples that were not finite, too large, not later than the one before, or too many."""
    constant_since_s: float = math.inf
    """Since when every sample has had the same value."""
    _value: float = math.nan
    _index: int | None = None
    _parts: list[Signal] = field(default_factory=list)
    _held: int = 0

    def add(self, at_s: float, values: Signal) -> list[Stretch]:
        """Take samples ``1 / rate_hz`` apart, the first at ``at_s``; return what they complete."""
        if not len(values) or at_s <= self.last_s:
            self.refused += len(values)
            return []
        at = at_s + np.arange(len(values)) / self.rate_hz
        good = np.isfinite(values) & (np.abs(values) <= VALUE_MAX)
        self.refused += int(len(values) - good.sum())
        at, values = at[good], values[good]
        if not len(values):
            return []
        self._watch_for_change(at, values)
        self.last_s = float(at[-1])
        # A sample that falls on the cut but for a rounding error belongs behind it.
        indices = np.floor(at / self.stretch_s + 1e-6).astype(np.int64)
        return [done for index in np.unique(indices) for done in self._put(index, values, indices)]

    def advance(self, now_s: float) -> list[Stretch]:
        """Return the open stretch when its time is over."""
        if self._index is None or now_s < (self._index + 1) * self.stretch_s:
            return []
        return self.flush()

    def flush(self) -> list[Stretch]:
        """Return the open stretch as it is."""
        if self._index is None:
            return []
        values = np.concatenate(self._parts)
        start_s, self._index, self._parts = self._index * self.stretch_s, None, []
        self._held = 0
        return [Stretch(start_s, values, len(values) >= WHOLE_RATIO * self._expected)]

    @property
    def _expected(self) -> int:
        return max(1, round(self.rate_hz * self.stretch_s))

    def _put(
        self, index: np.int64, values: Signal, indices: NDArray[np.int64]
    ) -> Iterator[Stretch]:
        if self._index is not None and index != self._index:
            yield from self.flush()
        part = values[indices == index]
        room = max(0, _CROWDED * self._expected - self._held)
        self.refused += max(0, len(part) - room)
        self._index = int(index)
        self._parts.append(part[:room])
        self._held += len(part[:room])

    def _watch_for_change(self, at: Signal, values: Signal) -> None:
        changes = np.flatnonzero(np.diff(values, prepend=self._value))
        if len(changes):
            self.constant_since_s = float(at[changes[-1]])
        self._value = float(values[-1])
