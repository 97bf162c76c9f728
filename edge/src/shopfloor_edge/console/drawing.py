"""Where an alert is: what its zone, line or slot looks like over the picture."""

from __future__ import annotations

from dataclasses import dataclass

from shopfloor_contracts.site import SiteFile


@dataclass(frozen=True, slots=True)
class Drawing:
    """A shape in shares of the picture's width and height, times 100, as SVG has it."""

    points: str
    """``x,y x,y …``."""
    closed: bool


def drawing_of(site: SiteFile, camera: str, about: str) -> Drawing | None:
    """Return the shape that is named ``about``; None where the drawing has changed since."""
    for spec in site.cameras:
        if spec.name != camera:
            continue
        for zone in spec.zones:
            if zone.name == about:
                return _drawing(zone.polygon, closed=True)
        for line in spec.lines:
            if line.name == about:
                return _drawing([line.a, line.b], closed=False)
        for slot in spec.slots:
            if slot.name == about:
                x1, y1, x2, y2 = slot.box
                return _drawing([(x1, y1), (x2, y1), (x2, y2), (x1, y2)], closed=True)
    return None


def _drawing(points: list[tuple[float, float]], *, closed: bool) -> Drawing:
    return Drawing(" ".join(f"{x * 100:.2f},{y * 100:.2f}" for x, y in points), closed)
