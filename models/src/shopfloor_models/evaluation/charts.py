"""Charts as SVG text; no library, so that a report is one file that any browser shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from math import floor, log10

WIDTH, HEIGHT = 520, 320
LEFT, TOP, RIGHT, BOTTOM = 72, 16, 504, 268
COLOURS = ("#1f5fa8", "#c8531c", "#2b7a4b", "#8a3b8f", "#7a6a12", "#b3224b")


@dataclass(frozen=True, slots=True)
class Point:
    """A bubble: its area shows size."""

    name: str
    x: float
    y: float
    area: float
    """Share of the largest, in [0, 1]."""


@dataclass(frozen=True, slots=True)
class Series:
    """A line."""

    name: str
    x: Sequence[float]
    y: Sequence[float]


@dataclass(frozen=True, slots=True)
class Axes:
    """What the axes say and where they end; both begin at 0."""

    x: str
    y: str
    x_max: float
    y_max: float
    x_words: tuple[str, ...] = ()
    """Words at 0, 1, 2 … in place of numbers."""

    def place(self, x: float, y: float) -> tuple[float, float]:
        """Return pixels."""
        right = LEFT + (RIGHT - LEFT) * x / (self.x_max or 1)
        return right, BOTTOM - (BOTTOM - TOP) * y / (self.y_max or 1)


def bubbles(points: Sequence[Point], axes: Axes) -> str:
    """Draw points and, dashed, the front that nothing is better than on both axes."""
    front = pareto(points)
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (axes.place(p.x, p.y) for p in front))
    body = f'<polyline class="front" points="{path}"/>'
    # The largest first, so that it hides none; the colour is that of the point's own place, as in
    # the other charts.
    order = sorted(range(len(points)), key=lambda number: -points[number].area)
    for number in order:
        x, y = axes.place(points[number].x, points[number].y)
        radius = 5 + 15 * points[number].area ** 0.5
        colour = COLOURS[number % len(COLOURS)]
        body += f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}" fill="{colour}"/>'
    return f"<figure>{_frame(axes, body)}{_legend([point.name for point in points])}</figure>"


def pareto(points: Sequence[Point]) -> list[Point]:
    """Return those that no other beats on both axes: less ``x``, more ``y``."""
    front: list[Point] = []
    for point in sorted(points, key=lambda one: (one.x, -one.y)):
        if not front or point.y > front[-1].y:
            front.append(point)
    return front


def curves(series: Sequence[Series], axes: Axes) -> str:
    """Draw lines with a legend below."""
    body = ""
    for number, line in enumerate(series):
        colour = COLOURS[number % len(COLOURS)]
        places = [axes.place(x, y) for x, y in zip(line.x, line.y, strict=True)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        body += f'<polyline class="line" stroke="{colour}" points="{path}"/>'
        if len(places) < 10:
            for x, y in places:
                body += f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"/>'
    return f"<figure>{_frame(axes, body)}{_legend([line.name for line in series])}</figure>"


def round_up(value: float) -> float:
    """Return the next number whose quarters are short to write: 0.4 for 0.37."""
    unit = 10 ** floor(log10(value)) if value > 0 else 1.0
    return next(unit * step for step in (1, 2, 4, 6, 8, 10) if unit * step >= value)


def _legend(names: Sequence[str]) -> str:
    items = "".join(
        f'<span><i style="background:{COLOURS[number % len(COLOURS)]}"></i>{escape(name)}</span>'
        for number, name in enumerate(names)
    )
    return f'<figcaption class="legend">{items}</figcaption>'


def _frame(axes: Axes, body: str) -> str:
    steps = [share / 4 for share in range(5)]
    grid = ""
    for share in steps:
        x, y = axes.place(share * axes.x_max, share * axes.y_max)
        grid += f'<line class="grid" x1="{LEFT}" y1="{y:.1f}" x2="{RIGHT}" y2="{y:.1f}"/>'
        grid += f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">'
        grid += f"{share * axes.y_max:.3g}</text>"
        if not axes.x_words:
            grid += f'<text x="{x:.1f}" y="{BOTTOM + 18}" text-anchor="middle">'
            grid += f"{share * axes.x_max:.3g}</text>"
    for number, word in enumerate(axes.x_words):
        x, _ = axes.place(number, 0)
        anchor = "end" if number and number == len(axes.x_words) - 1 else "middle"
        grid += f'<text x="{x:.1f}" y="{BOTTOM + 18}" text-anchor="{anchor}">{escape(word)}</text>'
    grid += f'<text x="{(LEFT + RIGHT) / 2}" y="{BOTTOM + 42}" text-anchor="middle" class="axis">'
    grid += f"{escape(axes.x)}</text>"
    middle = (TOP + BOTTOM) / 2
    grid += f'<text transform="translate(14 {middle}) rotate(-90)" text-anchor="middle" '
    grid += f'class="axis">{escape(axes.y)}</text>'
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img">{grid}{body}</svg>'
