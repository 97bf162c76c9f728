"""Confidence intervals of what gates look at. Two-sided; ``confidence`` in (0, 1)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate and where the truth lies with the asked confidence."""

    figure: float
    low: float
    high: float


def quantile_of(confidence: float) -> float:
    """Return z such that a normal variable is within ± z with ``confidence``."""
    return NormalDist().inv_cdf(0.5 + confidence / 2.0)


def share(part: int, whole: int, confidence: float) -> Interval:
    """Return a proportion with Wilson's score interval; ``whole`` ≥ 1.

    Source: Wilson, JASA 22 (1927).
    """
    z2 = quantile_of(confidence) ** 2
    p = part / whole
    centre = p + z2 / (2 * whole)
    half = math.sqrt(z2 * (p * (1 - p) / whole + z2 / (4 * whole**2)))
    scale = 1 + z2 / whole
    low = 0.0 if part == 0 else max(0.0, (centre - half) / scale)
    high = 1.0 if part == whole else min(1.0, (centre + half) / scale)
    return Interval(p, low, high)


def rate(events: int, exposure: float, confidence: float) -> Interval:
    """Return events per unit of ``exposure`` (> 0), Poisson.

    Limits are chi-square quantiles by Wilson and Hilferty (1931), within 2 % of the exact ones
    from the first event on; with none the upper limit is exact.
    """
    tail = (1 - confidence) / 2
    low = _chi_square(tail, 2 * events) / 2 if events else 0.0
    high = _chi_square(1 - tail, 2 * events + 2) / 2 if events else -math.log(tail)
    return Interval(events / exposure, low / exposure, high / exposure)


def relative_difference(agreed: int, only_old: int, only_new: int, confidence: float) -> Interval:
    """Return (new − old) / old of two counters on the same frames; the old one counted ≥ 1.

    The old counter's crossings that the new one lacks are a proportion, what the new one has
    beyond them a rate; both intervals are put together by squaring and adding (MOVER).
    Source: Zou and Donner, Statistics in Medicine 27 (2008).
    """
    old = agreed + only_old
    missed = share(only_old, old, confidence)
    extra = rate(only_new, old, confidence)
    figure = extra.figure - missed.figure
    down = math.hypot(extra.figure - extra.low, missed.high - missed.figure)
    up = math.hypot(extra.high - extra.figure, missed.figure - missed.low)
    return Interval(figure, figure - down, figure + up)


@dataclass(frozen=True, slots=True)
class Clusters:
    """Sums over devices of d = new − old and b = old crossings."""

    devices: int = 0
    dd: float = 0.0
    db: float = 0.0
    bb: float = 0.0
    b: float = 0.0

    def half_width(self, ratio: float, confidence: float) -> float:
        """Return the half width of Σd / Σb when devices differ more than chance would make them.

        The ratio estimator's variance over clusters; 0 below 5 devices, where it says nothing.
        Source: Cochran, Sampling Techniques (1977), chapter 6.
        """
        if self.devices < 5 or self.b <= 0:
            return 0.0
        spread = max(0.0, self.dd - 2 * ratio * self.db + ratio**2 * self.bb)
        variance = spread * self.devices / (self.devices - 1) / self.b**2
        return quantile_of(confidence) * math.sqrt(variance)


def distance(old: Sequence[int], new: Sequence[int], confidence: float) -> Interval:
    """Return the total variation distance of two histograms with the same buckets, each ≥ 1.

    Chance alone makes the distance larger by up to ½ Σ √(p(1−p)(1/n + 1/m)), which the lower limit
    gives back; McDiarmid's inequality bounds the rest.
    """
    n, m = sum(old), sum(new)
    pooled = [(a + b) / (n + m) for a, b in zip(old, new, strict=True)]
    found = sum(abs(a / n - b / m) for a, b in zip(old, new, strict=True)) / 2
    scale = 1 / n + 1 / m
    bias = sum(math.sqrt(p * (1 - p) * scale) for p in pooled) / 2
    slack = math.sqrt(-math.log((1 - confidence) / 2) * scale / 2)
    return Interval(found, max(0.0, found - bias - slack), min(1.0, found + slack))


def percentile(
    counts: Sequence[int], edges: Sequence[float], of: float, confidence: float
) -> Interval:
    """Return percentile ``of`` (0–1) of a histogram with one bucket more than ``edges``.

    The interval is that of the order statistics; inside a bucket it is linear. What lies in the
    last bucket, which has no end, is given as ten times its beginning.
    """
    whole = sum(counts)
    half = quantile_of(confidence) * math.sqrt(of * (1 - of) / whole)
    at = [_value_at(counts, edges, max(0.0, min(1.0, q))) for q in (of, of - half, of + half)]
    return Interval(*at)


def _value_at(counts: Sequence[int], edges: Sequence[float], of: float) -> float:
    ends = [0.0, *edges, 10.0 * edges[-1]]
    wanted, seen = of * sum(counts), 0
    for bucket, count in enumerate(counts):
        if count and seen + count >= wanted:
            begin, end = ends[bucket], ends[bucket + 1]
            return begin + (end - begin) * max(0.0, (wanted - seen) / count)
        seen += count
    return ends[-1]


def _chi_square(of: float, degrees: int) -> float:
    spread = 2 / (9 * degrees)
    return degrees * float(max(0.0, 1 - spread + NormalDist().inv_cdf(of) * spread**0.5)) ** 3
