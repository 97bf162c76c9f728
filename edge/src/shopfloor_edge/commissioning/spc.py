"""``shopfloor-edge spc design``: from rates to charts, with their computed run lengths."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from shopfloor_edge.errors import OperatorError
from shopfloor_edge.spc.charts import BernoulliCusum, BinomialEwma, Chart, PChart
from shopfloor_edge.spc.design import (
    Aim,
    Design,
    NoChartError,
    design_cusum,
    design_ewma,
    design_p_chart,
)

DESIGNERS: dict[str, Callable[[Aim], Design[Any]]] = {
    "p-chart": design_p_chart,
    "cusum": design_cusum,
    "ewma": design_ewma,
}
MINUTES_PER_MONTH = 30 * 24 * 60


@dataclass(frozen=True, slots=True)
class Row:
    """One chart as it is shown."""

    name: str
    limits: str
    arl0: float
    arl1: float


def show_spc(arguments: argparse.Namespace) -> int:
    """Print the designs; return the exit code.

    Raises:
        OperatorError: rates or a run length that no chart can have.
    """
    if arguments.parts_per_minute <= 0:
        raise OperatorError(f"--parts-per-minute is {arguments.parts_per_minute:g}, expected > 0")
    try:
        aim = Aim(arguments.p0, arguments.p1, arguments.arl0)
    except ValueError as e:
        raise OperatorError(str(e)) from e
    rows = _rows(aim)
    if arguments.json:
        charts = {
            row.name: {"limits": row.limits, "arl0": row.arl0, "arl1": row.arl1} for row in rows
        }
        print(json.dumps({"p0": aim.p0, "p1": aim.p1, "charts": charts}))
        return 0
    speed = arguments.parts_per_minute
    print(
        f"{'chart':<9}{'parts between':>15}{'a month':>9}{'parts to tell':>15}"
        f"{'seconds':>9}  limits"
    )
    for row in rows:
        month = MINUTES_PER_MONTH * speed / row.arl0
        print(
            f"{row.name:<9}{row.arl0:>15,.0f}{month:>9.2g}{row.arl1:>15,.0f}"
            f"{row.arl1 / speed * 60:>9.0f}  {row.limits}"
        )
    print(
        f"\nfalse alarms at a defect rate of {aim.p0:g}; then, from a calm chart, parts until a "
        f"rate of {aim.p1:g} is told, at {speed:g} parts a minute"
    )
    return 0


def _rows(aim: Aim) -> list[Row]:
    rows = []
    for name, design in DESIGNERS.items():
        try:
            found = design(aim)
        except NoChartError as e:
            raise OperatorError(f"{name}: {e}; try a smaller --arl0") from e
        rows.append(Row(name, describe(found.chart), found.arl0, found.arl1))
    return rows


def describe(chart: Chart) -> str:
    """Return a chart's limits in words."""
    match chart:
        case PChart():
            return f"{chart.limit} defects in {chart.size} parts"
        case BernoulliCusum():
            return f"+{chart.rise} a defect, -1 a good part, signals at {chart.limit}"
        case BinomialEwma():
            mean, limit = (steps / chart.per_part for steps in (chart.floor, chart.limit))
            return (
                f"mean of {chart.size} parts, λ 1/{chart.memory}, "
                f"signals at {limit:.3g} defects (normal {mean:.3g})"
            )
    return type(chart).__name__
