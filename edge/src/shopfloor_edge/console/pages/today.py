"""Page *Today*: the day's figures beside the usual, and what they rest on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import groupby
from typing import Any

from fastapi import APIRouter, HTTPException, Request, Response

from shopfloor_contracts.events import Kind
from shopfloor_contracts.site import CameraSpec
from shopfloor_edge.console import texts
from shopfloor_edge.console.charts import Chart, chart_of, heat_svg
from shopfloor_edge.console.desk import Desk
from shopfloor_edge.console.pages.files import PICTURES
from shopfloor_edge.console.rests_on import Measured, basis_of, measured_of
from shopfloor_edge.console.usual import (
    WEEKS,
    Figure,
    bounds,
    coverage_of,
    days_of,
    figures_of,
)
from shopfloor_edge.journal.history import Stretch, read_heat, read_history

SORTS = {
    Kind.TRAFFIC: "line",
    Kind.OCCUPANCY: "zone",
    Kind.QUEUE: "zone",
    Kind.DWELL: "zone",
    Kind.SHELF: "slot",
}
ALIKE = 0.05
"""A difference of less is called "as usual"."""
DAYS_SURE = 2
"""Of one day alone nothing is said to be usual."""


@dataclass(frozen=True, slots=True)
class Shown:
    """One figure as the template shows it."""

    figure: Figure
    value: str
    usual: str
    change: str
    tone: str
    sign: str
    chart: Chart
    rows: Sequence[tuple[str, str, str]]
    """Hour, today, usual, as text."""


@dataclass(frozen=True, slots=True)
class Group:
    """All figures of one line, zone or slot."""

    sort: str
    """line, zone or slot."""
    about: str
    figures: Sequence[Shown]
    coverage: float | None
    measured: Measured | None


def router(desk: Desk) -> APIRouter:
    """Build the routes."""
    routes = APIRouter()

    @routes.get("/today")
    def today(request: Request, camera: str = "") -> Response:
        return desk.page(request, "today.html", **_shown(desk, request, camera))

    @routes.get("/today/figures")
    def figures(request: Request, camera: str = "") -> Response:
        return desk.page(request, "today_figures.html", **_shown(desk, request, camera))

    @routes.get("/today/heat/{name}")
    def heat(name: str) -> Response:
        spec = _camera(desk, name.removesuffix(".svg"))
        begin, end = bounds(desk.local().date(), desk.templates.zone)
        svg = heat_svg(read_heat(desk.state, spec.name, from_s=begin, to_s=end))
        return Response(svg, media_type="image/svg+xml")

    return routes


def _shown(desk: Desk, request: Request, camera: str) -> dict[str, Any]:
    spec = _camera(desk, camera or desk.site.cameras[0].name)
    day, language = desk.local().date(), request.state.visit.language
    days = [_read(desk, one, spec.name) for one in days_of(day)]
    basis = basis_of(desk.state, spec.name)
    measured = {} if basis is None else measured_of(desk.state, spec.name, basis)
    groups = _groups(figures_of(days, desk.templates.zone), days[0], measured, language)
    compared = max((shown.figure.days for one in groups for shown in one.figures), default=0)
    empty = desk.state / PICTURES / f"{spec.name}.empty.jpg"
    seen = [one for one in days[0] if one.kind != Kind.HEAT]
    return {
        "cameras": [one.name for one in desk.site.cameras],
        "camera": spec,
        "at": desk.clock(),
        "weekday": texts.say(language, f"today.weekday_{day.weekday()}"),
        "groups": groups,
        "days": compared,
        "weeks": WEEKS,
        "basis": basis,
        "covered": coverage_of(seen),
        "has_heat": len(seen) < len(days[0]),
        "has_picture": empty.is_file(),
        "stamp": int(desk.clock().timestamp() // 60),
    }


def _camera(desk: Desk, name: str) -> CameraSpec:
    for spec in desk.site.cameras:
        if spec.name == name:
            return spec
    raise HTTPException(404, "no such camera")


def _read(desk: Desk, day: date, camera: str) -> list[Stretch]:
    begin, end = bounds(day, desk.templates.zone)
    return read_history(desk.state, from_s=begin, to_s=end, camera=camera)


def _groups(
    figures: Sequence[Figure],
    today: Sequence[Stretch],
    measured: dict[tuple[str, str], Measured],
    language: str,
) -> list[Group]:
    def place(figure: Figure) -> tuple[str, str]:
        return SORTS[figure.measure.kind], figure.about

    groups = []
    for (sort, about), found in groupby(sorted(figures, key=place), place):
        shown = [_figure(figure, language) for figure in found]
        kinds = {one.figure.measure.kind for one in shown}
        its = [one for one in today if one.about == about and one.kind in kinds]
        told = (measured.get((kind, about)) for kind in sorted(kinds))
        groups.append(
            Group(sort, about, shown, coverage_of(its), next((one for one in told if one), None))
        )
    return groups


def _figure(figure: Figure, language: str) -> Shown:
    write = _writer(figure.measure.unit, language)
    change, tone, sign = _change(figure, language)
    return Shown(
        figure=figure,
        value="–" if figure.value is None else write(figure.value),
        usual="–" if figure.like_usual is None else write(figure.like_usual),
        change=change,
        tone=tone,
        sign=sign,
        chart=chart_of(
            figure.hours,
            _clock if figure.measure.unit == "duration" else write,
            round_to=60.0 if figure.measure.unit == "duration" else 1.0,
            least_step=1.0 if figure.measure.unit in ("count", "duration") else 0.0,
        ),
        rows=[
            (
                f"{one.hour}:00",
                "–" if one.now is None else write(one.now),
                "–" if one.usual is None else write(one.usual),
            )
            for one in figure.hours
        ],
    )


def _change(figure: Figure, language: str) -> tuple[str, str, str]:
    """Return how a figure compares: words, tone and sign. More is neither good nor bad."""
    if figure.days < DAYS_SURE or figure.change is None:
        return "", "", ""
    if abs(figure.change) < ALIKE:
        return texts.say(language, "today.as_usual"), "", "="
    more = figure.change > 0
    key = "today.more" if more else "today.less"
    share = f"{min(abs(figure.change), 9.99) * 100:.0f}"
    return texts.say(language, key, share=share), "info", "▲" if more else "▼"


def _writer(unit: str, language: str) -> Callable[[float], str]:
    """Return what writes a value of a unit as people read it."""

    def number(value: float, digits: int) -> str:
        return f"{value:.{digits}f}".replace(".", texts.say(language, "today.decimal"))

    def write(value: float) -> str:
        if unit == "duration":
            seconds = round(value)
            if seconds < 60:
                return texts.say(language, "today.seconds", count=seconds)
            return f"{_clock(value)} min"
        if unit == "share":
            return f"{number(value * 100, 0 if value >= 0.1 or value == 0 else 1)} %"
        if unit == "people":
            return number(value, 0 if value == 0 else 1)
        return number(value, 0)

    return write


def _clock(seconds: float) -> str:
    return f"{round(seconds) // 60}:{round(seconds) % 60:02d}"
