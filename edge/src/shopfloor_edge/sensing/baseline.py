"""What a figure was like while the machine was well, and how far a new value is from that.

Neighbouring values of a machine resemble each other, which a chart of independent values takes
for a lasting shift. So each value is told in two ways: what its predecessor did not foretell
(independent, where the series is an AR(1)), and its level, on a scale that is widened by the
resemblance. The scales are robust: a few shocks while learning do not hide later ones.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

MIN_VALUES = 30
"""Fewer give a scale that is off by more than a fifth."""
PHI_MAX = 0.98
"""A series nearer to a random walk has no level that could be left."""
_SIGMA_OF_MAD = 1.4826
_FLAT = 1e-6
"""Smallest scale, as a share of the level: a figure that never moved has some tolerance."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """A figure's healthy level and spread. All in the figure's unit, except ``phi``."""

    centre: float
    spread: float
    """Standard deviation of a value around the centre."""
    step: float
    """Standard deviation of what a value's predecessor does not foretell, widened by what of that
    still resembles its neighbour: the sum of many steps spreads as that of independent ones."""
    phi: float
    """Correlation of neighbours, in ``[0, PHI_MAX]``."""
    largest: float
    """Largest leap of the values it was learnt from."""

    def surprise(self, value: float, before: float | None) -> float:
        """Return what ``before`` did not foretell, in standard deviations.

        Args:
            before: the value just before, or None after a gap.
        """
        if before is None:
            return (value - self.centre) / self.spread
        foretold = self.centre + self.phi * (before - self.centre)
        return (value - foretold) / self.step

    def leap(self, value: float, before: float | None) -> float:
        """Return how far the value is from ``before``, in standard deviations of healthy steps.

        After a gap, from the centre. A slow drift leaps nowhere, however far it goes.
        """
        if before is None:
            return (value - self.centre) / self.spread
        return (value - before) / (self.spread * math.sqrt(2 * (1 - self.phi)))

    def level(self, value: float, weight: float) -> float:
        """Return the value in deviations such that an EWMA of ``weight`` λ keeps its limits.

        The variance of an EWMA of an AR(1) is that of independent values times
        ``(1 + φ(1-λ)) / (1 - φ(1-λ))``. Source: Zhang: A statistical control chart for
        stationary process data (Technometrics 40, 1998).
        """
        kept = self.phi * (1 - weight)
        return (value - self.centre) / (self.spread * math.sqrt((1 + kept) / (1 - kept)))

    def moved(self, value: float, share: float, clip: float) -> Baseline:
        """Return the baseline with its centre nearer to ``value``.

        Args:
            share: of the way, within 0 to 1.
            clip: deviations at which a value counts as no farther away.
        """
        reach = clip * self.spread
        away = max(-reach, min(reach, value - self.centre))
        return replace(self, centre=self.centre + share * away)


def learn(values: Sequence[float]) -> Baseline:
    """Return the baseline of values one after the other.

    Raises:
        ValueError: fewer than ``MIN_VALUES``.
    """
    if len(values) < MIN_VALUES:
        raise ValueError(f"{len(values)} values, expected {MIN_VALUES} or more")
    series = np.asarray(values, dtype=np.float64)
    centre = float(np.median(series))
    floor = max(_FLAT * abs(centre), np.finfo(np.float64).tiny ** 0.5)
    spread = max(_spread(series - centre), floor)
    phi = _resemblance((series - centre) / spread)
    unforetold = series[1:] - centre - phi * (series[:-1] - centre)
    step = max(_spread(unforetold), floor)
    # What an AR(1) with this step and φ must spread: a drift while learning must not narrow it.
    spread = max(spread, step / math.sqrt(1 - phi**2))
    left = _resemblance(unforetold / step)
    step *= math.sqrt((1 + left) / (1 - left))
    found = Baseline(centre, spread, step, phi, 0.0)
    leaps = [abs(found.leap(value, before)) for before, value in pairwise(series.tolist())]
    return replace(found, largest=max(leaps))


def _spread(deviations: np.ndarray) -> float:
    return _SIGMA_OF_MAD * float(np.median(np.abs(deviations)))


def _resemblance(standard: np.ndarray) -> float:
    """Return the lag-1 correlation, of values clipped at 3 deviations, with Kendall's bias mended.

    Source: Marriott, Pope: Bias in the estimation of autocorrelations (Biometrika 41, 1954).
    """
    clipped = np.clip(standard, -3, 3)
    clipped = clipped - clipped.mean()
    power = float((clipped**2).sum())
    if power == 0:
        return 0.0
    found = float((clipped[1:] * clipped[:-1]).sum()) / power
    return min(max(found + (1 + 3 * found) / len(clipped), 0.0), PHI_MAX)
