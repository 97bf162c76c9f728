"""Charts of a measured value: a two-sided CUSUM and an EWMA on standard deviations.

For what sensors say (vibration, temperature, current) after it is standardised against a time
when the machine was well. Run lengths hold for independent values: a slow signal must be thinned
out until its neighbours know little of each other, or alarms come more often than computed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.stats import norm

_STATES = 400


@dataclass(slots=True)
class NormalCusum:
    """Tells of a lasting shift of ``2 · slack`` standard deviations soonest.

    Source: Page: Continuous inspection schemes (Biometrika 41, 1954).
    """

    slack: float
    limit: float
    high: float = 0.0
    low: float = 0.0

    def update(self, z: float) -> bool:
        """Take one value, in standard deviations from normal."""
        self.high = max(0.0, self.high + z - self.slack)
        self.low = max(0.0, self.low - z - self.slack)
        return max(self.high, self.low) >= self.limit

    def reset(self) -> None:
        """Forget the evidence."""
        self.high = self.low = 0.0

    @property
    def level(self) -> float:
        """The larger sum as a share of the limit."""
        return max(self.high, self.low) / self.limit

    def average_run_length(self, shift: float = 0.0) -> float:
        """Return values until a signal when the mean has moved by ``shift``.

        Brook and Evans' chain per side, joined as independent sides are (Kemp 1971); exact to
        about 1 %.
        """
        up, down = (self._one_sided(side * shift) for side in (1.0, -1.0))
        return 1.0 / (1.0 / up + 1.0 / down)

    def _one_sided(self, shift: float) -> float:
        width = 2.0 * self.limit / (2 * _STATES - 1)
        centres = np.arange(_STATES) * width
        step = centres[None, :] - centres[:, None] + self.slack - shift
        chain = norm.cdf(step + width / 2) - norm.cdf(step - width / 2)
        chain[:, 0] = norm.cdf(step[:, 0] + width / 2)
        return float(np.linalg.solve(np.eye(_STATES) - chain, np.ones(_STATES))[0])


@dataclass(slots=True)
class NormalEwma:
    """A weighted mean, judged against its own standard deviation once it has settled.

    Source: Lucas, Saccucci: Exponentially weighted moving average control schemes (Technometrics
    32, 1990).

    Args:
        weight: λ, of the newest value.
        limit: in standard deviations of the mean.
    """

    weight: float
    limit: float
    mean: float = 0.0

    def update(self, z: float) -> bool:
        """Take one value, in standard deviations from normal."""
        self.mean += self.weight * (z - self.mean)
        return abs(self.mean) >= self._bound

    def reset(self) -> None:
        """Start calm."""
        self.mean = 0.0

    @property
    def level(self) -> float:
        """The mean as a share of its limit."""
        return abs(self.mean) / self._bound

    @property
    def _bound(self) -> float:
        return self.limit * math.sqrt(self.weight / (2.0 - self.weight))

    def average_run_length(self, shift: float = 0.0) -> float:
        """Return values until a signal when the mean has moved by ``shift``."""
        states = 2 * _STATES + 1
        width = 2.0 * self._bound / states
        centres = -self._bound + (np.arange(states) + 0.5) * width
        step = (centres[None, :] - (1 - self.weight) * centres[:, None]) / self.weight - shift
        half = width / 2 / self.weight
        chain = norm.cdf(step + half) - norm.cdf(step - half)
        return float(np.linalg.solve(np.eye(states) - chain, np.ones(states))[_STATES])
