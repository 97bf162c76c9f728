"""From figures to a machine's state: learn, then chart each figure for shifts, drift and shocks."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
from scipy.optimize import brentq
from scipy.stats import norm

from shopfloor_edge.sensing.baseline import MIN_VALUES, Baseline, learn
from shopfloor_edge.spc.normal import NormalCusum, NormalEwma

SLACK = 0.5
"""Half of the shift to be found soonest, in standard deviations: one is what is customary."""
WEIGHT = 0.05
"""λ of the drift chart: a memory of some 20 values."""
CLIP = 4.0
"""A single value counts for so many deviations at most: one shock is no lasting change."""
CALM_LEVEL = 0.5
"""A state ends when every chart has fallen to half of its limit: no flicker around the limit."""
HOLD = 20
"""An abrupt change is told for so many values: as long as the drift chart remembers."""
MARGIN = 1.5
"""An abrupt change is larger than any step seen while learning by so much: tails are heavy."""
_CHARTS_PER_FIGURE = 3


class MachineState(StrEnum):
    """What the charts say; the worst that holds."""

    LEARNING = "learning"
    NORMAL = "normal"
    DRIFTING = "drifting"
    """Away from its healthy level, for longer than chance lets it be."""
    ABRUPT = "abrupt"
    """A step that no healthy machine makes, within the last ``HOLD`` values."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What one set of figures said."""

    score: float
    """Largest surprise of any figure, in standard deviations, not clipped; 0 while learning."""
    level: float
    """Largest chart, as a share of its limit."""
    state: MachineState
    drifting: bool = False
    """Whether a slow chart signals, be there a step beside it or not."""
    figure: str = ""
    """The figure whose chart is highest."""


@dataclass(slots=True)
class FigureCharts:
    """The charts of one figure, and the value that came last."""

    baseline: Baseline
    jump: NormalCusum
    drift: NormalEwma
    before: float | None = None
    shock: float = 0.0
    """Size of the last leap as a share of its limit."""

    def update(self, value: float, *, shock_limit: float) -> float:
        """Take one value; return its surprise in standard deviations."""
        surprise = self.baseline.surprise(value, self.before)
        leap = self.baseline.leap(value, self.before)
        self.before = value
        self.shock = abs(leap) / max(shock_limit, MARGIN * self.baseline.largest)
        self.jump.update(_clipped(surprise))
        self.drift.update(_clipped(self.baseline.level(value, WEIGHT)))
        # A sum that has no top would take as long to calm down as the fault has lasted.
        self.jump.high = min(self.jump.high, self.jump.limit)
        self.jump.low = min(self.jump.low, self.jump.limit)
        return surprise

    def follow(self, value: float, share: float) -> None:
        """Move the healthy level by a share of the way to ``value``."""
        self.baseline = self.baseline.moved(value, share, CLIP)

    @property
    def slow_level(self) -> float:
        """The higher of the two slow charts, as a share of its limit."""
        return max(self.jump.level, self.drift.level)

    @property
    def level(self) -> float:
        """The highest chart, as a share of its limit."""
        return max(self.slow_level, self.shock)


@dataclass(slots=True)
class MachineMonitor:
    """Watches the figures of one sensor. Give it the same figures every time.

    Args:
        learning: sets of figures of a healthy machine before the charts begin.
        arl0: sets between two false alarms, of all charts together, where the figures are
            AR(1) with normal steps and the healthy period tells all that is normal.
        memory: sets after which the healthy level has followed the machine; 0: never, so that
            the slowest wear is seen and a new setting of the machine wants to be learnt.
    """

    learning: int
    arl0: float
    memory: float = 0.0
    learnt: dict[str, list[float]] = field(default_factory=dict)
    charts: dict[str, FigureCharts] = field(default_factory=dict)
    drifting: bool = False
    held: int = 0
    """Values for which an abrupt change is still told."""

    def __post_init__(self) -> None:
        if self.learning < MIN_VALUES:
            raise ValueError(f"learning is {self.learning}, expected {MIN_VALUES} or more")

    @property
    def state(self) -> MachineState:
        """The worst that holds."""
        if not self.charts:
            return MachineState.LEARNING
        if self.held:
            return MachineState.ABRUPT
        return MachineState.DRIFTING if self.drifting else MachineState.NORMAL

    def update(self, figures: Mapping[str, float]) -> Reading:
        """Take one set of figures."""
        if not self.charts:
            return self._learn(figures)
        shock_limit = limits(self._arl0_of_chart)[2]
        surprises = [
            abs(chart.update(figures[name], shock_limit=shock_limit))
            for name, chart in self.charts.items()
        ]
        self._decide()
        if self.memory and not self.held:
            for name, chart in self.charts.items():
                chart.follow(figures[name], 1 / self.memory)
        figure, highest = max(self.charts.items(), key=lambda item: item[1].level)
        return Reading(max(surprises), highest.level, self.state, self.drifting, figure)

    def gap(self) -> None:
        """Say that values are missing: the next has no neighbour."""
        for chart in self.charts.values():
            chart.before = None

    def begin(self, baselines: Mapping[str, Baseline]) -> None:
        """Start the charts, calm, from known baselines."""
        self.charts = {
            name: FigureCharts(baseline, NormalCusum(SLACK, 1.0), NormalEwma(WEIGHT, 1.0))
            for name, baseline in baselines.items()
        }
        jump, drift, _ = limits(self._arl0_of_chart)
        for chart in self.charts.values():
            chart.jump.limit, chart.drift.limit = jump, drift
        self.learnt.clear()
        self.drifting, self.held = False, 0

    @property
    def _arl0_of_chart(self) -> float:
        return self.arl0 * _CHARTS_PER_FIGURE * len(self.charts)

    def _decide(self) -> None:
        charts = self.charts.values()
        slow = max(chart.slow_level for chart in charts)
        if slow >= 1:
            self.drifting = True
        elif slow <= CALM_LEVEL:
            self.drifting = False
        shocked = max(chart.shock for chart in charts) >= 1
        self.held = HOLD if shocked else max(0, self.held - 1)

    def _learn(self, figures: Mapping[str, float]) -> Reading:
        for name, value in figures.items():
            self.learnt.setdefault(name, []).append(value)
        if min(map(len, self.learnt.values())) >= self.learning:
            self.begin({name: learn(values) for name, values in self.learnt.items()})
        return Reading(0.0, 0.0, self.state)


@functools.cache
def limits(arl0: float) -> tuple[float, float, float]:
    """Return the limits of the jump, the drift and the shock chart.

    Each has ``arl0`` values between false alarms; ``arl0`` is within 10 to 1e8.
    """
    jump = _solved(lambda limit: NormalCusum(SLACK, limit).average_run_length(), arl0, 30.0)
    drift = _solved(lambda limit: NormalEwma(WEIGHT, limit).average_run_length(), arl0, 7.0)
    return jump, drift, float(norm.isf(0.5 / arl0))


def _solved(run_length: Callable[[float], float], arl0: float, most: float) -> float:
    return float(brentq(lambda limit: np.log(run_length(limit) / arl0), 0.1, most, xtol=1e-3))


def _clipped(deviations: float) -> float:
    return max(-CLIP, min(CLIP, deviations))
