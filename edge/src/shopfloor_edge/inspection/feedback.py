"""What overrules say of a station: how often it lets a bad part pass, or rejects a good one."""

from __future__ import annotations

import math
from dataclasses import dataclass

Z_95 = 1.959964
"""95 % of a normal distribution lie within so many standard deviations."""


@dataclass(frozen=True, slots=True)
class Rate:
    """A share of parts that people looked at, with its 95 % interval."""

    wrong: int
    seen: int
    low: float
    high: float

    @property
    def share(self) -> float | None:
        """``wrong`` of ``seen``; None when nobody looked."""
        return self.wrong / self.seen if self.seen else None


def wilson(wrong: int, seen: int, z: float = Z_95) -> Rate:
    """Return a rate with Wilson's score interval; nothing seen says nothing: 0 to 1.

    Source: Wilson: Probable inference, the law of succession, and statistical inference
    (Journal of the American Statistical Association 22, 1927).

    Raises:
        ValueError: counts that cannot be.
    """
    if not 0 <= wrong <= seen:
        raise ValueError(f"wrong must be 0 to {seen}, found {wrong}")
    if seen == 0:
        return Rate(0, 0, 0.0, 1.0)
    share, square = wrong / seen, z * z
    middle = (share + square / (2 * seen)) / (1 + square / seen)
    half = (
        z / (1 + square / seen) * math.sqrt(share * (1 - share) / seen + square / (4 * seen * seen))
    )
    return Rate(wrong, seen, max(0.0, middle - half), min(1.0, middle + half))
