from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from shopfloor_contracts.aggregates import DwellData, HeatData, QueueData, ShelfData, SlotState
from shopfloor_contracts.events import OCCUPANCY_EDGES, build_event, encode, parse_event
from shopfloor_contracts.site import CameraSpec
from shopfloor_contracts.windows import Window
from shopfloor_edge.analytics.shelf import Objects
from shopfloor_edge.analytics.windows import WindowAggregator
from shopfloor_edge.vision.figures import analytics_of, further_events, wanted_classes

SIZE = (800, 600)
HOUR = 1_700_000_000 // 60 * 60
SPEC = CameraSpec.model_validate(
    {
        "name": "door",
        "uri": "clip.avi",
        "heat": True,
        "zones": [
            {
                "name": "till",
                "polygon": [(0.2, 0.2), (0.8, 0.2), (0.8, 0.8), (0.2, 0.8)],
                "analytics": ["dwell", "queue"],
            },
            {"name": "hall", "polygon": [(0, 0), (1, 0), (1, 1)]},
        ],
        "slots": [{"name": "left", "box": (0.1, 0.1, 0.2, 0.3), "expects": "bottle"}],
    }
)
RESTS_ON = Window(
    window_start=datetime.fromtimestamp(HOUR, UTC),
    window_s=60,
    coverage_ratio=1,
    frames=1,
    model_digest="0" * 64,
    zone_version=SPEC.zone_version,
    backend="onnxruntime",
)
NOTHING = Objects(np.zeros((0, 4)), np.zeros(0), [])
BOTTLE = Objects(np.array([[80.0, 60.0, 160.0, 180.0]]), np.array([0.9]), ["bottle"])


def watched(places, *, spec=SPEC, products=BOTTLE):
    """Let one person stand at a place a frame, a frame every half second; return the events."""
    analytics = analytics_of(spec)
    windows = WindowAggregator(
        lines=[],
        zones=[],
        edges=OCCUPANCY_EDGES,
        window_s=60.0,
        max_gap_s=1.0,
        analytics=analytics.factories(),
    )
    closed = []
    for number, place in enumerate(places):
        at_s = HOUR + number / 2
        ids = np.arange(1 if place else 0) + 1
        points = np.array([place] if place else []).reshape(-1, 2) * SIZE
        readings = analytics.people(ids, points, size=SIZE, at_s=at_s)
        slots, _ = analytics.products(products, NOTHING, size=SIZE, at_s=at_s)
        closed += windows.observe(at_s, [], {}, readings | slots)
    for key, reading in analytics.close().items():
        for occurrence in reading.happened:
            windows.happened(key, occurrence)
    return [further_events(window, RESTS_ON) for window in [*closed, windows.close()]]


def of(events, kind):
    [found] = [event for event in events if isinstance(event, kind)]
    return found


def test_a_minute_of_everything_is_one_event_of_each_kind():
    [events] = watched([(0.5, 0.5)] * 21 + [(0.05, 0.9)] * 20)

    [dwell], [queue] = of(events, DwellData).zones, of(events, QueueData).zones
    heat, [slot] = of(events, HeatData), of(events, ShelfData).slots
    assert (dwell.zone, dwell.entries, dwell.exits, dwell.lost) == ("till", 1, 1, 0)
    assert (dwell.dwell_s, dwell.observed_s) == (10.0, 20.0)
    assert (queue.people_s, queue.wait_s, queue.length_histogram_s[0]) == (10.5, 10.0, 9.5)
    assert (heat.people_s, heat.cells_s[9][16], heat.cells_s[16][1]) == (20.0, 10.5, 9.5)
    assert (slot.slot, slot.state, slot.removals) == ("left", SlotState.CORRECT, 0)
    assert slot.correct_s + slot.unknown_s == pytest.approx(20.0)


def test_every_event_can_be_sent_and_read():
    [events] = watched([(0.5, 0.5)] * 10)

    for seq, data in enumerate(events, start=1):
        event = build_event(
            data,
            source="/sites/s/devices/d/cameras/door",
            time=datetime.fromtimestamp(HOUR, UTC),
            stream="6f1b0c1e-8f53-4a5e-9d61-0d6f7c1b2a3c",
            seq=seq,
        )
        assert parse_event(encode(event)).data == data
    assert len(events) == 4


def test_an_event_says_what_it_rests_on():
    [events] = watched([(0.5, 0.5)])

    assert {event.backend for event in events} == {"onnxruntime"}
    assert {event.zone_version for event in events} == {SPEC.zone_version}


def test_who_is_there_at_the_end_counts_in_the_last_window():
    [events] = watched([(0.5, 0.5)] * 21)

    [dwell] = of(events, DwellData).zones
    assert (dwell.entries, dwell.exits, dwell.lost, dwell.dwell_s) == (1, 1, 1, 10.0)


def test_a_visit_over_the_border_counts_where_it_began_and_dwells_where_it_ended():
    first, second = watched([None] * 100 + [(0.5, 0.5)] * 40 + [(0.05, 0.9)] * 5)

    [one], [other] = of(first, DwellData).zones, of(second, DwellData).zones
    assert (one.entries, one.exits, one.dwell_s) == (1, 0, 0.0)
    assert (other.entries, other.exits, other.dwell_s) == (0, 1, 19.5)


def test_a_camera_without_further_analytics_says_nothing_more():
    plain = CameraSpec(name="door", uri="clip.avi", zones=[SPEC.zones[1]])

    assert watched([(0.5, 0.5)] * 5, spec=plain, products=NOTHING) == [[]]


def test_the_model_must_know_people_and_what_belongs_in_the_slots():
    assert wanted_classes(SPEC) == ("person", "bottle")
