"""From what a plant knows to a chart: normal rate, bad rate, and how rarely it may cry wolf."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from shopfloor_edge.spc.charts import BernoulliCusum, BinomialEwma, Chart, PChart
from shopfloor_edge.spc.lattice import MAX_STATES

SUBGROUPS = (10, 20, 50, 100, 200, 500, 1000, 2000, 5000)
"""Sizes that are tried."""
MEMORIES = (3, 5, 10, 20)
"""λ of .33 to .05: what is usual."""


@dataclass(frozen=True, slots=True)
class Aim:
    """What a chart has to do.

    Args:
        p0: normal defect rate.
        p1: defect rate that must be found soon; above ``p0``.
        arl0: parts between false alarms, on average.

    Raises:
        ValueError: rates or run length that no chart can have; says which.
    """

    p0: float
    p1: float
    arl0: float

    def __post_init__(self) -> None:
        """Refuse what makes no sense."""
        if not 0.0 < self.p0 < self.p1 < 1.0:
            raise ValueError(f"rates must be 0 < p0 < p1 < 1, found p0 {self.p0:g}, p1 {self.p1:g}")
        if not 10.0 <= self.arl0 <= 1e12:
            raise ValueError(f"arl0 must be 10 to 1e12 parts, found {self.arl0:g}")


C = TypeVar("C", bound=Chart)


@dataclass(frozen=True, slots=True)
class Design(Generic[C]):
    """A chart, and what it does."""

    chart: C
    arl0: float
    """Parts between false alarms, computed."""
    arl1: float
    """Parts until a shift to ``p1`` is told, computed; the shift comes when the chart is calm."""


class NoChartError(ValueError):
    """No chart of this kind reaches the aim."""


def design_cusum(aim: Aim) -> Design[BernoulliCusum]:
    """Return the CUSUM for ``aim`` with the lowest limit that keeps ``arl0``.

    Raises:
        NoChartError: it would need more states than can be solved.
    """
    good, bad = -math.log((1 - aim.p1) / (1 - aim.p0)), math.log(aim.p1 / aim.p0)
    # Reynolds, Stoumbos (1999), eq. 4: parts per defect at which the evidence is even.
    rise = max(1, round((good + bad) / good) - 1)

    def chart(limit: int) -> BernoulliCusum:
        return BernoulliCusum(rise, limit)

    limit = _lowest_limit(chart, aim, start=rise, most=MAX_STATES)
    return _judged(chart(limit), aim)


def design_p_chart(aim: Aim) -> Design[PChart]:
    """Return the p-chart for ``aim`` that tells of ``p1`` soonest.

    Raises:
        NoChartError: no subgroup of ``SUBGROUPS`` does.
    """
    found = []
    for size in SUBGROUPS:
        for limit in range(1, size + 1):
            if PChart(size, limit).average_run_length(aim.p0) >= aim.arl0:
                found.append(_judged(PChart(size, limit), aim))
                break
    return _soonest(found, "p-chart")


def design_ewma(aim: Aim) -> Design[BinomialEwma]:
    """Return the EWMA for ``aim`` that tells of ``p1`` soonest.

    Raises:
        NoChartError: no subgroup of ``SUBGROUPS`` with a memory of ``MEMORIES`` does.
    """
    found = []
    # A subgroup that has ten defects when all is well tells nothing sooner.
    sizes = [size for size in SUBGROUPS if size * aim.p0 <= 10.0 and size * aim.p1 <= 100.0]
    for size in sizes:
        for memory in MEMORIES:
            # Half a step is what rounding can swallow: a tenth of the normal mean at most.
            per_part = max(10 * memory, math.ceil(5 * memory / (size * aim.p0) / 10))
            floor = max(1, round(size * aim.p0 * per_part))

            def chart(
                limit: int, size: int = size, memory: int = memory, floor: int = floor,
                per_part: int = per_part,
            ) -> BinomialEwma:  # fmt: skip
                return BinomialEwma(size, memory, floor, floor + limit, per_part)

            most = min(5000, size * per_part - floor)
            try:
                limit = _lowest_limit(chart, aim, start=max(1, floor // 2), most=most)
            except NoChartError:
                continue
            found.append(_judged(chart(limit), aim))
    return _soonest(found, "EWMA")


def _lowest_limit(chart: Callable[[int], Chart], aim: Aim, *, start: int, most: int) -> int:
    """Return the lowest limit with ``arl0``: run lengths never fall as the limit rises."""
    low, high = 0, min(start, most)
    while chart(high).average_run_length(aim.p0) < aim.arl0:
        if high >= most:
            raise NoChartError(f"no limit up to {most} gives {aim.arl0:g} parts between alarms")
        low, high = high, min(2 * high, most)
    while high - low > 1:
        middle = (low + high) // 2
        if chart(middle).average_run_length(aim.p0) < aim.arl0:
            low = middle
        else:
            high = middle
    return high


def _judged(chart: C, aim: Aim) -> Design[C]:
    return Design(chart, chart.average_run_length(aim.p0), chart.average_run_length(aim.p1))


def _soonest(designs: Iterable[Design[C]], name: str) -> Design[C]:
    try:
        return min(designs, key=lambda design: design.arl1)
    except ValueError as e:
        raise NoChartError(f"no {name} reaches the aim") from e
