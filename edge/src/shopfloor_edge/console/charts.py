"""Small charts as SVG, drawn on the device: bars for the day, dashes for the usual. Pure.

Shapes differ, not only colours; sizes are in the units of the picture, which a page scales.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from shopfloor_contracts.aggregates import HEAT_COLUMNS, HEAT_ROWS
from shopfloor_edge.console.usual import Hour

WIDTH, HEIGHT = 360.0, 150.0
LEFT, RIGHT, TOP, BOTTOM = 38.0, 4.0, 8.0, 22.0
HOURS_MIN = 8
STEPS = (1, 2, 5)


@dataclass(frozen=True, slots=True)
class Bar:
    """One hour's bar, and the dash of the usual over it."""

    x: float
    y: float
    width: float
    height: float
    usual_y: float | None
    known: bool


@dataclass(frozen=True, slots=True)
class Tick:
    """A mark on an axis."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Chart:
    """What the template draws."""

    bars: Sequence[Bar]
    rows: Sequence[Tick]
    """Lines across, by value."""
    columns: Sequence[Tick]
    """Hours below."""


def chart_of(
    hours: Sequence[Hour],
    written: Callable[[float], str],
    *,
    round_to: float = 1.0,
    least_step: float = 0.0,
) -> Chart:
    """Lay out a day by the hour.

    Args:
        written: a value as short as an axis has room for.
        round_to: of which the lines are round multiples: 60 for seconds.
        least_step: between two lines; 1 where values are written without decimals.
    """
    shown = _padded(hours)
    values = [value for one in hours for value in (one.now, one.usual) if value is not None]
    step = max(least_step, _step(max([*values, 0.0]) / round_to) * round_to)
    top = max(1, math.ceil(max([*values, 0.0]) / step)) * step
    room = HEIGHT - TOP - BOTTOM
    slot = (WIDTH - LEFT - RIGHT) / len(shown)

    def y_of(value: float) -> float:
        return TOP + room * (1 - value / top)

    bars = [
        Bar(
            x=round(LEFT + slot * (n + 0.14), 1),
            y=round(y_of(one.now or 0.0), 1),
            width=round(slot * 0.72, 1),
            height=round(room * (one.now or 0.0) / top, 1),
            usual_y=None if one.usual is None else round(y_of(one.usual), 1),
            known=one.now is not None,
        )
        for n, one in enumerate(shown)
    ]
    rows = [Tick(round(y_of(step * n), 1), written(step * n)) for n in range(round(top / step) + 1)]
    every = max(1, math.ceil(len(shown) / 8))
    columns = [
        Tick(round(LEFT + slot * (n + 0.5), 1), f"{one.hour}")
        for n, one in enumerate(shown)
        if n % every == 0
    ]
    return Chart(bars, rows, columns)


def _padded(hours: Sequence[Hour]) -> list[Hour]:
    """Return at least ``HOURS_MIN``, so that a day that has just begun is no single wide bar."""
    found = list(hours) or [Hour(9, None, None)]
    while len(found) < HOURS_MIN and found[-1].hour < 23:
        found.append(Hour(found[-1].hour + 1, None, None))
    while len(found) < HOURS_MIN:
        found.insert(0, Hour(found[0].hour - 1, None, None))
    return found


def _step(largest: float) -> float:
    """Return a round distance of at most four lines."""
    if largest <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(largest / 4))
    return next(step * power for step in (*STEPS, 10) if largest / (step * power) <= 4)


def heat_svg(cells: Sequence[int]) -> str:
    """Draw where people stood, to be laid over a picture: the fuller the longer.

    Args:
        cells: tenths of person-seconds, row by row; empty where nothing is known.

    Steps are of the root, since a till would outshine every aisle.
    """
    most = max([*cells, 1])
    rects = []
    for number, cell in enumerate(cells):
        if cell <= 0:
            continue
        row, column = divmod(number, HEAT_COLUMNS)
        share = math.sqrt(cell / most)
        # From yellow to deep red, and ever less to see through.
        colour = f"rgb({round(255 - 70 * share)},{round(214 - 190 * share)},20)"
        rects.append(
            f'<rect x="{column}" y="{row}" width="1.02" height="1.02"'
            f' fill="{colour}" fill-opacity="{0.2 + share * 0.6:.2f}"/>'
        )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {HEAT_COLUMNS} {HEAT_ROWS}"'
        ' preserveAspectRatio="none"><defs><filter id="soft" x="0" y="0" width="1" height="1">'
        '<feGaussianBlur stdDeviation=".45"/></filter></defs>'
        f'<g filter="url(#soft)">{"".join(rects)}</g></svg>'
    )
