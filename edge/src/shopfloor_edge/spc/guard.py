"""When to tell people, and when to stop the line: charts with two limits, and one who restarts.

An alert comes with the first limit and goes when the chart is calm again; a stop comes with the
second and goes only when a person says so. Nothing here can restart a line.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from shopfloor_edge.spc.charts import Chart

ALL = "all"
"""The chart of defective parts, of whatever class."""
CALM_LEVEL = 0.5
"""An alert ends when its chart has fallen to half of the limit: no flicker around the limit."""


class LineState(StrEnum):
    """What the line may do."""

    RUNNING = "running"
    ALERTED = "alerted"
    """Running, and people were told."""
    STOPPED = "stopped"
    """Until a person restarts it."""


@dataclass(frozen=True, slots=True)
class Change:
    """The state changed, and why."""

    state: LineState
    chart: str
    """``ALL``, or the defect class whose chart decided."""
    part: int
    """Number of the part with which it changed, from 1."""


@dataclass(slots=True)
class Watched:
    """The two charts of one defect class."""

    alert: Chart
    stop: Chart


@dataclass(slots=True)
class LineGuard:
    """Decides after each part.

    Args:
        charts: per defect class, and ``ALL``.
    """

    charts: Mapping[str, Watched]
    state: LineState = LineState.RUNNING
    parts: int = 0
    alerting: set[str] = field(default_factory=set)

    def update(self, defects: Collection[str], *, defective: bool) -> Change | None:
        """Take one judged part.

        Args:
            defects: classes of its defects; those without a chart count for ``ALL`` only.
            defective: whether the verdict was fail.

        Returns:
            The change that this part brings, or None. Parts that still come while the line is
            stopped are counted and change nothing.
        """
        self.parts += 1
        stops: list[str] = []
        for name, watched in self.charts.items():
            bad = defective if name == ALL else name in defects
            if watched.stop.update(defective=bad):
                stops.append(name)
            if watched.alert.update(defective=bad):
                self.alerting.add(name)
            elif watched.alert.level <= CALM_LEVEL:
                self.alerting.discard(name)
        if self.state is LineState.STOPPED:
            return None
        if stops:
            return self._enter(LineState.STOPPED, stops[0])
        if self.alerting and self.state is LineState.RUNNING:
            return self._enter(LineState.ALERTED, min(self.alerting))
        if not self.alerting and self.state is LineState.ALERTED:
            return self._enter(LineState.RUNNING, ALL)
        return None

    def stop(self, reason: str) -> Change:
        """Stop the line for another reason than a chart; ``reason`` stands in the chart's place."""
        return self._enter(LineState.STOPPED, reason)

    def restart(self) -> Change:
        """Begin again, calm: a person has looked at the line."""
        for watched in self.charts.values():
            watched.alert.reset()
            watched.stop.reset()
        self.alerting.clear()
        return self._enter(LineState.RUNNING, ALL)

    def _enter(self, state: LineState, chart: str) -> Change:
        self.state = state
        return Change(state, chart, self.parts)
