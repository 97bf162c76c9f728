"""A verdict as a plot: figure and interval on a scale, and which part of the scale is well."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shopfloor_campaigns.adapters.pages.words import GATES, written
from shopfloor_campaigns.domain.plan import Gate

WIDTH, EDGE = 320.0, 8.0
"""In the drawing's own units; it scales with its place."""
_AT_LEAST = {Gate.INSTALL_SUCCESS, Gate.ALERT_PRECISION, Gate.AUDITED_ACCURACY}
_SHARES = _AT_LEAST | {Gate.DISAGREEMENT, Gate.ESCAPE_RATE, Gate.SCORE_DRIFT}


@dataclass(frozen=True, slots=True)
class Tick:
    """A limit and its text."""

    x: float
    text: str
    anchor: str


@dataclass(frozen=True, slots=True)
class Plot:
    """All positions are in [EDGE, WIDTH − EDGE]; the well part is ``well_x`` + ``well_width``."""

    well_x: float
    well_width: float
    low_x: float
    high_x: float
    figure_x: float
    cut_low: bool
    """The interval goes on beyond the scale."""
    cut_high: bool
    ticks: tuple[Tick, ...]
    text: str
    """The same in words, for whoever cannot see it."""


def plot(verdict: Mapping[str, Any]) -> Plot | None:
    """Return the drawing of a stored verdict, or None without a sample."""
    if verdict["figure"] is None:
        return None
    gate, limit = Gate(verdict["gate"]), float(verdict["limit"])
    figure, low, high = (float(verdict[key]) for key in ("figure", "low", "high"))
    begin, end = _scale(gate, limit, figure, high)
    two_sided = gate is Gate.COUNT_DIFFERENCE

    def x(value: float) -> float:
        inside = min(max(value, begin), end)
        return round(EDGE + (inside - begin) / (end - begin) * (WIDTH - 2 * EDGE), 1)

    well = (limit, end) if gate in _AT_LEAST else (-limit if two_sided else begin, limit)
    unit = GATES[gate].unit
    limits = (-limit, limit) if two_sided else (limit,)
    side = "at least" if gate in _AT_LEAST else ("within ±" if two_sided else "at most")
    return Plot(
        well_x=x(well[0]),
        well_width=round(x(well[1]) - x(well[0]), 1),
        low_x=x(low),
        high_x=x(high),
        figure_x=x(figure),
        cut_low=low < begin,
        cut_high=high > end,
        ticks=tuple(_tick(x(value), written(value, unit)) for value in limits),
        text=f"{written(figure, unit)}, between {written(low, unit)} and {written(high, unit)}; "
        f"well is {side} {written(limit, unit).lstrip('+')}",
    )


def _scale(gate: Gate, limit: float, figure: float, high: float) -> tuple[float, float]:
    """Return a scale on which the limit is never at the edge; shares keep theirs up to 1."""
    if gate is Gate.COUNT_DIFFERENCE:
        reach = max(2 * limit, 1.3 * abs(figure), 1e-6)
        return -reach, reach
    if gate in _AT_LEAST:
        return 0.0, 1.0
    # An interval without end would squeeze all else to a point: it is cut and says so.
    reach = max(2 * limit, 1.3 * figure, min(1.1 * high, 4 * limit), 1e-6)
    return 0.0, min(reach, 1.0) if gate in _SHARES else reach


def _tick(x: float, text: str) -> Tick:
    anchor = "start" if x < WIDTH * 0.15 else "end" if x > WIDTH * 0.85 else "middle"
    return Tick(x, text, anchor)
