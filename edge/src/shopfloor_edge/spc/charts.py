"""Three charts of a defect rate. Each takes one part at a time and says when it signals.

All are one-sided: fewer defects are no alarm. Every state is a whole number, so that a chart that
is read from a file goes on exactly where it was, and its run length can be computed exactly
(``average_run_length``). A chart that signalled goes on: who stops the line resets it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np
from scipy.stats import binom

from shopfloor_edge.spc.lattice import States, run_length


class Chart(Protocol):
    """What the three have in common."""

    def update(self, *, defective: bool) -> bool:
        """Take one part; return whether the chart signals now."""

    def reset(self) -> None:
        """Begin again, as after a mended line."""

    @property
    def level(self) -> float:
        """How near the limit the chart is: 0 calm, 1 and more signals."""

    def average_run_length(self, rate: float) -> float:
        """Return the mean number of parts from a calm start to a signal at defect rate ``rate``."""


@dataclass(slots=True)
class PChart:
    """Shewhart's: signals when a subgroup has too many defects.

    Args:
        size: parts in a subgroup.
        limit: defects in a subgroup at which it signals, at least 1.
    """

    size: int
    limit: int
    seen: int = 0
    defects: int = 0

    def update(self, *, defective: bool) -> bool:
        """Take one part. Signals at the last part of a subgroup, never before."""
        if self.seen == self.size:
            self.reset()
        self.seen += 1
        self.defects += defective
        return self.seen == self.size and self.defects >= self.limit

    def reset(self) -> None:
        """Begin a new subgroup."""
        self.seen = self.defects = 0

    @property
    def level(self) -> float:
        """Defects of the subgroup so far, as a share of the limit."""
        return self.defects / self.limit

    def average_run_length(self, rate: float) -> float:
        """Return parts: subgroups are independent, so ``size / P(X ≥ limit)``."""
        signals = float(binom.sf(self.limit - 1, self.size, rate))
        return self.size / signals if signals > 0 else math.inf


@dataclass(slots=True)
class BernoulliCusum:
    """Adds up evidence part by part: quickest for a lasting shift of a known size.

    The score falls by 1 with each good part, never below 0, and rises by ``rise`` with a defect.
    Source: Reynolds, Stoumbos: A CUSUM chart for monitoring a proportion when inspecting
    continuously (Journal of Quality Technology 31, 1999).

    Args:
        rise: about the parts per defect that lie between the good and the bad rate, minus 1.
        limit: score at which it signals.
    """

    rise: int
    limit: int
    score: int = 0

    def update(self, *, defective: bool) -> bool:
        """Take one part."""
        self.score = max(0, self.score + (self.rise if defective else -1))
        return self.score >= self.limit

    def reset(self) -> None:
        """Forget the evidence."""
        self.score = 0

    @property
    def level(self) -> float:
        """The score as a share of the limit."""
        return self.score / self.limit

    def average_run_length(self, rate: float) -> float:
        """Return parts, exactly: Markov chain of the scores."""
        return _cusum_run_length(self.rise, self.limit, rate)


@dataclass(slots=True)
class BinomialEwma:
    """An exponentially weighted mean of defects per subgroup; never below what is normal.

    The mean is kept in whole steps of ``1 / per_part`` of a defect and moved by a ``1 / memory``
    share of the way, rounded.
    Source: Gan: Monitoring observations generated from a binomial distribution using modified
    exponentially weighted moving average control chart (J. Stat. Comp. Sim. 37, 1990).

    Args:
        size: parts in a subgroup.
        memory: subgroups over which it forgets, at least 2; the usual λ is ``1 / memory``.
        floor: steps; the normal mean.
        limit: steps at which it signals.
        per_part: steps in one defect.
    """

    size: int
    memory: int
    floor: int
    limit: int
    per_part: int
    steps: int = -1
    """-1 for calm: the normal mean."""
    seen: int = 0
    defects: int = 0

    def __post_init__(self) -> None:
        """Start calm."""
        self.steps = max(self.steps, self.floor)

    def update(self, *, defective: bool) -> bool:
        """Take one part. Signals at the last part of a subgroup, never before."""
        self.seen += 1
        self.defects += defective
        if self.seen < self.size:
            return False
        moved = (self.steps * (self.memory - 1) + self.defects * self.per_part) / self.memory
        self.steps = max(self.floor, math.floor(moved + 0.5))
        self.seen = self.defects = 0
        return self.steps >= self.limit

    def reset(self) -> None:
        """Start calm."""
        self.steps, self.seen, self.defects = self.floor, 0, 0

    @property
    def level(self) -> float:
        """The way from the normal mean to the limit that is gone."""
        return (self.steps - self.floor) / (self.limit - self.floor)

    def average_run_length(self, rate: float) -> float:
        """Return parts, exactly: Markov chain of the steps."""
        return _ewma_run_length(
            (self.size, self.memory, self.floor, self.limit, self.per_part), rate
        )


@lru_cache(maxsize=1024)
def _cusum_run_length(rise: int, limit: int, rate: float) -> float:
    if rate <= 0.0:
        return math.inf

    def step(score: States, defects: int) -> States:
        after: States = np.maximum(0, score + (rise if defects else -1))
        return after

    return float(run_length(limit, step, {0: 1.0 - rate, 1: rate})[0])


@lru_cache(maxsize=1024)
def _ewma_run_length(chart: tuple[int, int, int, int, int], rate: float) -> float:
    size, memory, floor, limit, per_part = chart
    if rate <= 0.0:
        return math.inf
    # Counts rarer than 1e-15 would change nothing that a float can hold.
    most = int(binom.isf(1e-15, size, rate)) + 1
    moves = {k: float(binom.pmf(k, size, rate)) for k in range(min(size, most) + 1)}

    def step(above: States, defects: int) -> States:
        moved = ((above + floor) * (memory - 1) + defects * per_part) / memory
        after: States = np.maximum(floor, np.floor(moved + 0.5)).astype(np.int64) - floor
        return after

    return float(run_length(limit - floor, step, moves)[0]) * size
