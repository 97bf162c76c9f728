"""The line's guard: made from a recipe, and put away as text so that it goes on after a crash."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from shopfloor_contracts.recipes import ChartSpec, WatchSpec
from shopfloor_edge.errors import OperatorError
from shopfloor_edge.spc.charts import Chart
from shopfloor_edge.spc.design import (
    Aim,
    Design,
    NoChartError,
    design_cusum,
    design_ewma,
    design_p_chart,
)
from shopfloor_edge.spc.guard import LineGuard, LineState, Watched

_DESIGNERS: dict[str, Callable[[Aim], Design[Any]]] = {
    "cusum": design_cusum,
    "ewma": design_ewma,
    "p-chart": design_p_chart,
}
_COUNTED = ("score", "steps", "seen", "defects")
"""What a chart has added up; the rest of its fields is its design."""
ChartState = dict[str, int]


def build_guard(watches: Sequence[WatchSpec]) -> LineGuard:
    """Return a calm guard with the recipe's charts.

    Raises:
        OperatorError: a chart that cannot be made; says of which class.
    """
    return LineGuard(
        {
            watch.name: Watched(_chart(watch.name, watch.alert), _chart(watch.name, watch.stop))
            for watch in watches
        }
    )


def _chart(name: str, spec: ChartSpec) -> Chart:
    try:
        chart: Chart = _DESIGNERS[spec.chart](Aim(spec.p0, spec.p1, spec.arl0)).chart
    except NoChartError as e:
        raise OperatorError(f"watch {name!r}: {e}; try a smaller arl0") from e
    return chart


def put_away(guard: LineGuard) -> dict[str, Any]:
    """Return everything that a guard has added up, fit for JSON."""
    return {
        "state": guard.state,
        "parts": guard.parts,
        "alerting": sorted(guard.alerting),
        "charts": {
            name: {"alert": _counts(watched.alert), "stop": _counts(watched.stop)}
            for name, watched in guard.charts.items()
        },
        # For those who look; a chart goes on from its counts alone.
        "levels": levels_of(guard),
    }


def levels_of(guard: LineGuard) -> dict[str, dict[str, float]]:
    """Return how near each chart is to its limits; 1 is at the limit."""
    return {
        name: {"alert": round(watched.alert.level, 4), "stop": round(watched.stop.level, 4)}
        for name, watched in guard.charts.items()
    }


def take_up(guard: LineGuard, kept: dict[str, Any]) -> None:
    """Go on where ``put_away`` was; charts that a new recipe brings begin calm."""
    guard.state = LineState(kept["state"])
    guard.parts = int(kept["parts"])
    guard.alerting = {name for name in kept["alerting"] if name in guard.charts}
    for name, watched in guard.charts.items():
        for chart, counts in (
            (watched.alert, kept["charts"].get(name, {}).get("alert", {})),
            (watched.stop, kept["charts"].get(name, {}).get("stop", {})),
        ):
            for field, value in counts.items():
                if hasattr(chart, field):
                    setattr(chart, field, int(value))


def _counts(chart: Chart) -> ChartState:
    return {field: getattr(chart, field) for field in _COUNTED if hasattr(chart, field)}
