"""What overrules say of a station: how often it lets a bad part pass, or rejects a good one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from shopfloor_edge.inspection.ports import Verdict

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


class Said(Protocol):
    """What a person says of a part."""

    @property
    def verdict(self) -> str:
        """What the station had said."""

    @property
    def good(self) -> bool:
        """Whether the part is good."""


def rates_of(overrules: Sequence[Said]) -> dict[str, Rate]:
    """Return escapes among passed and false rejects among failed parts that people looked at."""
    passed = [said for said in overrules if said.verdict == Verdict.PASS]
    failed = [said for said in overrules if said.verdict == Verdict.FAIL]
    return {
        "escapes": wilson(sum(not said.good for said in passed), len(passed)),
        "false_rejects": wilson(sum(said.good for said in failed), len(failed)),
    }


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
