"""The pages in the order of the navigation."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from shopfloor_edge.console.people import Role
from shopfloor_edge.errors import JournalError
from shopfloor_edge.journal.parts import stations_of


@dataclass(frozen=True, slots=True)
class Place:
    """An entry; its text is the message ``NAME.title``."""

    name: str
    """Of the module in ``pages/``, and of the section in the message files."""
    path: str
    icon: str
    """What an SVG path draws in 24 × 24, as strokes."""
    role: Role = Role.STAFF


PLACES = (
    Place("now", "/", "M6 9a6 6 0 0 1 12 0c0 6 2 7 2 8H4c0-1 2-2 2-8M10 20.5a2.2 2.2 0 0 0 4 0"),
    Place("today", "/today", "M4 4v16h16M8 16v-4M12 16V8M16 16v-6"),
    Place("cameras", "/cameras", "M3 7h11v10H3zM14 11l7-4v10l-7-4"),
    Place(
        "zones", "/zones", "M5 6l13-2 2 12-12 4zM5 6h.01M18 4h.01M20 16h.01M8 20h.01", Role.MANAGER
    ),
    Place("audit", "/audit", "M5 12.5l4.5 4.5L19 7.5"),
    Place(
        "inspection", "/inspection", "M10.5 4a6.5 6.5 0 1 1 0 13 6.5 6.5 0 0 1 0-13M15.5 15.5L21 21"
    ),
    Place("health", "/health", "M3 12h4l2.5-6 4 12 2.5-6h5"),
)


class Navigation:
    """The pages that people are shown: *Inspection* where a station has a book."""

    def __init__(self, state: Path) -> None:
        self._state, self._has_station = state, False

    def shown(self) -> tuple[Place, ...]:
        """Return them in their order; a station that comes is seen at the next page."""
        if not self._has_station:
            try:
                self._has_station = bool(stations_of(self._state))
            except JournalError:
                self._has_station = False  # nothing has been written here yet
        return tuple(place for place in PLACES if place.name != "inspection" or self._has_station)
