"""From the sums of a window to what is sent: visits, queues, heat and shelf slots."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from shopfloor_contracts.aggregates import (
    DWELL_EDGES_S,
    HEAT_COLUMNS,
    HEAT_ROWS,
    QUEUE_EDGES,
    DwellData,
    HeatData,
    QueueData,
    ShelfData,
    SlotFigures,
    SlotState,
    ZoneDwell,
    ZoneQueue,
)
from shopfloor_contracts.events import EventData
from shopfloor_contracts.site import CameraSpec
from shopfloor_contracts.windows import Window
from shopfloor_edge.analytics import shelf
from shopfloor_edge.analytics.camera import CameraAnalytics, Scales, ZonePlan
from shopfloor_edge.analytics.dwell import DwellSums
from shopfloor_edge.analytics.heat import HeatSums
from shopfloor_edge.analytics.queue import QueueSums
from shopfloor_edge.analytics.shelf import Slot, SlotSums
from shopfloor_edge.analytics.windows import WindowSums

T = TypeVar("T")
SCALES = Scales(DWELL_EDGES_S, QUEUE_EDGES, HEAT_COLUMNS, HEAT_ROWS)


def analytics_of(spec: CameraSpec, *, ruled: Iterable[str] = ()) -> CameraAnalytics:
    """Return the analytics that the site file asks for.

    Args:
        ruled: zones in which a rule follows people, whatever is computed there.
    """
    followed = {zone.name for zone in spec.zones if {"dwell", "queue"} & set(zone.analytics)}
    followed |= set(ruled)
    return CameraAnalytics(
        [ZonePlan(z.name, z.polygon, z.analytics) for z in spec.zones if z.name in followed],
        SCALES,
        slots=[Slot(slot.name, slot.box, slot.expects) for slot in spec.slots],
        heat=spec.heat,
    )


def wanted_classes(spec: CameraSpec) -> tuple[str, ...]:
    """Return the classes that a model must know for this camera, people first."""
    return ("person", *sorted({slot.expects for slot in spec.slots} - {"person"}))


def further_events(window: WindowSums, rests_on: Window) -> list[EventData]:
    """Return the events of the analytics that were read in ``window``."""
    shared = rests_on.model_dump()
    events: list[EventData] = []
    dwell = _of(window, "dwell/", DwellSums)
    if dwell:
        events.append(DwellData(**shared, zones=[_dwell(*item) for item in dwell]))
    queues = _of(window, "queue/", QueueSums)
    if queues:
        events.append(QueueData(**shared, zones=[_queue(*item) for item in queues]))
    events += [_heat(sums, shared) for _, sums in _of(window, "heat", HeatSums)]
    slots = _of(window, "slot/", SlotSums)
    if slots:
        events.append(ShelfData(**shared, slots=[_slot(*item) for item in slots]))
    return events


def _of(window: WindowSums, prefix: str, kind: type[T]) -> list[tuple[str, T]]:
    """Return name and sums of the keys that begin with ``prefix``."""
    return [
        (key.removeprefix(prefix), sums)
        for key, sums in window.sums.items()
        if key.startswith(prefix) and isinstance(sums, kind)
    ]


def _dwell(zone: str, sums: DwellSums) -> ZoneDwell:
    return ZoneDwell(
        zone=zone,
        observed_s=round(sums.observed_s, 3),
        entries=sums.entries,
        exits=sums.exits,
        lost=sums.lost,
        dwell_s=round(sums.dwell_s, 3),
        dwell_max_s=round(sums.dwell_max_s, 3),
        histogram=sums.histogram,
    )


def _queue(zone: str, sums: QueueSums) -> ZoneQueue:
    return ZoneQueue(
        zone=zone,
        observed_s=round(sums.observed_s, 3),
        people_s=round(sums.people_s, 3),
        people_max=sums.people_max,
        length_histogram_s=[round(seconds, 3) for seconds in sums.length_histogram_s],
        joined=sums.joined,
        served=sums.served,
        lost=sums.lost,
        wait_s=round(sums.wait_s, 3),
        wait_max_s=round(sums.wait_max_s, 3),
        wait_histogram=sums.wait_histogram,
    )


def _heat(sums: HeatSums, shared: dict[str, object]) -> HeatData:
    return HeatData.model_validate(
        {
            **shared,
            "observed_s": round(sums.observed_s, 3),
            "people_s": round(float(sums.cells_s.sum()), 3),
            "cells_s": sums.rounded(),
        }
    )


def _slot(slot: str, sums: SlotSums) -> SlotFigures:
    seconds = {state: round(value, 3) for state, value in sums.seconds.items()}
    return SlotFigures(
        slot=slot,
        state=SlotState(sums.state),
        correct_s=seconds[shelf.SlotState.CORRECT],
        empty_s=seconds[shelf.SlotState.EMPTY],
        wrong_s=seconds[shelf.SlotState.WRONG],
        unknown_s=seconds[shelf.SlotState.UNKNOWN],
        hidden_s=round(sums.hidden_s, 3),
        removals=sums.removals,
        returns=sums.returns,
    )
