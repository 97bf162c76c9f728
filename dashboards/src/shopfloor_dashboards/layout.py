"""Where panels lie on Grafana's grid of 24 columns: rows of one height, full to the edge. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from shopfloor_dashboards.panels import Panel

COLUMNS = 24


@dataclass(frozen=True, slots=True)
class Place:
    """One panel's corner and size, in cells of the grid."""

    x: int
    y: int
    width: int
    height: int


def places(panels: Sequence[Panel]) -> list[Place]:
    """Return a place for each panel, in reading order; the last of a row reaches the edge.

    A row ends where the next panel would not fit any more, or is of another height.
    """
    found: list[Place] = []
    y = 0
    for row in _rows(panels):
        x = 0
        for number, panel in enumerate(row, 1):
            width = COLUMNS - x if number == len(row) else panel.width
            found.append(Place(x, y, width, panel.height))
            x += width
        y += row[0].height
    return found


def _rows(panels: Sequence[Panel]) -> list[list[Panel]]:
    rows: list[list[Panel]] = []
    for panel in panels:
        row = rows[-1] if rows else []
        fits = sum(other.width for other in row) + panel.width <= COLUMNS
        if row and fits and row[0].height == panel.height:
            row.append(panel)
        else:
            rows.append([panel])
    return rows
