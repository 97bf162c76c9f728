"""Every analytic of one camera beside lines and head counts: what to read, and what to add it to.

Keys are ``dwell/ZONE``, ``queue/ZONE``, ``heat`` and ``slot/SLOT``; they name a reading of a frame
and the sums of a window alike.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from shopfloor_edge.analytics.dwell import DwellSums, ZoneVisits
from shopfloor_edge.analytics.heat import HeatGrid, HeatSums
from shopfloor_edge.analytics.queue import QueueSums
from shopfloor_edge.analytics.shelf import Objects, ShelfMonitor, Slot, SlotChange, SlotSums
from shopfloor_edge.analytics.windows import Reading, Sums


@dataclass(frozen=True, slots=True)
class ZonePlan:
    """A zone, and which of ``dwell`` and ``queue`` are computed in it."""

    name: str
    polygon: Sequence[tuple[float, float]]
    analytics: Sequence[str]


@dataclass(frozen=True, slots=True)
class Scales:
    """Buckets and grid, as the receiver of the figures knows them."""

    dwell_edges_s: Sequence[float]
    queue_edges: Sequence[int]
    heat_columns: int
    heat_rows: int


class CameraAnalytics:
    """Analytics of one camera.

    Args:
        zones: those that rules need too; visits are followed in each.
        heat: whether to add up where people stand.
    """

    def __init__(
        self,
        zones: Sequence[ZonePlan],
        scales: Scales,
        *,
        slots: Sequence[Slot] = (),
        heat: bool = False,
    ) -> None:
        self._zones, self._scales, self._slots = tuple(zones), scales, tuple(slots)
        self.visits = {zone.name: ZoneVisits(zone.name, zone.polygon) for zone in zones}
        self.shelf = ShelfMonitor(slots)
        self._heat = HeatGrid(scales.heat_columns, scales.heat_rows) if heat else None

    def factories(self) -> dict[str, Callable[[], Sums]]:
        """Return what makes the empty sums of each key, for the ``WindowAggregator``."""
        scales = self._scales
        makes: dict[str, Callable[[], Sums]] = {}
        for zone in self._zones:
            if "dwell" in zone.analytics:
                makes[f"dwell/{zone.name}"] = partial(DwellSums, scales.dwell_edges_s)
            if "queue" in zone.analytics:
                makes[f"queue/{zone.name}"] = partial(
                    QueueSums, scales.queue_edges, scales.dwell_edges_s
                )
        if self._heat is not None:
            makes["heat"] = partial(HeatSums, scales.heat_columns, scales.heat_rows)
        return makes | {f"slot/{slot.name}": SlotSums for slot in self._slots}

    def people(
        self,
        ids: NDArray[np.int64],
        points: NDArray[np.floating],
        *,
        size: tuple[int, int],
        at_s: float,
    ) -> dict[str, Reading]:
        """Take one frame's tracks: ``(T,)`` numbers and ``(T, 2)`` foot points in pixels."""
        readings: dict[str, Reading] = {}
        for zone in self._zones:
            visits = self.visits[zone.name]
            changes = visits.update(ids, points, size=size, at_s=at_s)
            for analytic in zone.analytics:
                if analytic in ("dwell", "queue"):
                    readings[f"{analytic}/{zone.name}"] = Reading(visits.count, (changes,))
        if self._heat is not None:
            readings["heat"] = Reading(self._heat.cells(points, size=size))
        return readings

    def products(
        self, products: Objects, people: Objects, *, size: tuple[int, int], at_s: float
    ) -> tuple[dict[str, Reading], list[SlotChange]]:
        """Take one frame's detections; return the readings of the slots, and what changed."""
        changes = self.shelf.update(products, people, size=size, at_s=at_s)
        readings = {
            f"slot/{name}": Reading(reading, [c for c in changes if c.slot == name])
            for name, reading in self.shelf.readings().items()
        }
        return readings, changes

    def close(self) -> dict[str, Reading]:
        """End every visit where it was last seen: no frame comes any more."""
        ended = {zone.name: self.visits[zone.name].close() for zone in self._zones}
        return {
            f"{analytic}/{zone.name}": Reading(0, (ended[zone.name],))
            for zone in self._zones
            for analytic in zone.analytics
            if analytic in ("dwell", "queue")
        }
