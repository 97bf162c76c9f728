"""The accuracy of a figure and its interval, from clips that a person judged.

Accuracy is agreed items over all items: a ratio of two totals, each weighted by what its clip
stands for. Its variance is that of the linearised ratio between the clips of each stratum (clips,
not items, were drawn: what one clip holds goes wrong together); strata of a single clip are
collapsed with their neighbour. The interval is Wilson's, with the items that an independent sample
as sure as this one would have had.

Sources: Cochran 1977, §6.11 (ratio estimates in strata) and §5A.12 (collapsed strata); Wilson
1927; Korn and Graubard 1998, "Confidence intervals for proportions with small expected number of
positive counts estimated from survey data" (effective sample size and degrees of freedom); Kish
1965 (what unequal weights cost).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, stdtrit

from shopfloor_edge.auditing.scores import Score

METHOD = "stratified-ratio-wilson"
LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class Judged:
    """A clip with an answer."""

    stratum: str
    weight: float
    """Above 0."""
    score: Score


@dataclass(frozen=True, slots=True)
class Estimate:
    """What the clips say of the figure. Shares are in [0, 1]."""

    clips: int
    total: Score
    """Unweighted."""
    accuracy: float | None
    """None where no clip had anything to count."""
    low: float
    high: float
    effective: float
    """Items of an independent sample that would be as sure."""
    counted_ratio: float | None
    """All that the device counted over all there were: errors cancel out, as vendors print it."""
    strata: int


def estimate(judged: Sequence[Judged], level: float = LEVEL) -> Estimate:
    """Estimate the accuracy of a figure and its two-sided interval."""
    total = sum((one.score for one in judged), Score())
    weights = np.array([one.weight for one in judged])
    items = np.array([one.score.items for one in judged], float)
    agreed = np.array([one.score.agreed for one in judged], float)
    strata = _collapsed([one.stratum for one in judged])
    number = len(set(strata))
    if not total.items:
        return Estimate(len(judged), total, None, 0.0, 1.0, 0.0, None, number)
    ratio = float((weights * agreed).sum() / (weights * items).sum())
    effective = _effective(weights, items, agreed - ratio * items, strata=strata, ratio=ratio)
    freedom = max(1, len(judged) - number)
    z = float(ndtri(0.5 + level / 2))
    t = float(stdtrit(freedom, 0.5 + level / 2))
    effective *= (z / t) ** 2
    low, high = wilson(ratio, effective, z)
    seen = float(sum(w * one.score.seen for w, one in zip(weights, judged, strict=True)))
    counted = float(sum(w * one.score.counted for w, one in zip(weights, judged, strict=True)))
    told = counted / seen if seen else None
    return Estimate(len(judged), total, ratio, low, high, effective, told, number)


def wilson(share: float, number: float, z: float) -> tuple[float, float]:
    """Return Wilson's interval of a share of ``number`` items, which need not be whole."""
    spread = z * z / number
    middle = (share + spread / 2) / (1 + spread)
    half = z * sqrt(share * (1 - share) / number + spread / (4 * number)) / (1 + spread)
    # A share of exactly 0 or 1 is an end itself; rounding must not leave it outside.
    return max(0.0, min(share, middle - half)), min(1.0, max(share, middle + half))


def _effective(
    weights: NDArray[np.float64],
    items: NDArray[np.float64],
    residuals: NDArray[np.float64],
    *,
    strata: Sequence[str],
    ratio: float,
) -> float:
    """Return the size of an independent sample with this variance.

    Never more than the items weighted as they are: a variance that happens to be small, or 0
    because nothing went wrong, is no proof.
    """
    carried = weights * items
    kish = float(carried.sum() ** 2 / (weights * carried).sum())
    variance = _variance(weights * residuals, strata) / float(carried.sum()) ** 2
    if variance <= 0.0 or ratio in (0.0, 1.0):
        return kish
    return min(kish, ratio * (1 - ratio) / variance)


def _variance(values: NDArray[np.float64], strata: Sequence[str]) -> float:
    """Return the variance of the sum of ``values``, drawn with replacement in each stratum."""
    names = np.array(strata)
    whole = 0.0
    for name in set(strata):
        inside = values[names == name]
        if len(inside) > 1:
            whole += len(inside) * float(inside.var(ddof=1))
    return whole


def _collapsed(strata: Sequence[str]) -> list[str]:
    """Return the strata with those of a single clip joined to their neighbour in name."""
    names = sorted(set(strata))
    sizes = {name: strata.count(name) for name in names}
    groups: list[list[str]] = []
    for name in names:
        if groups and (sizes[name] < 2 or sum(sizes[one] for one in groups[-1]) < 2):
            groups[-1].append(name)
        else:
            groups.append([name])
    joined = {name: group[0] for group in groups for name in group}
    return [joined[name] for name in strata]
