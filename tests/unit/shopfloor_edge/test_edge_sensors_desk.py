"""All sensors of a device: what a wrong clock sends harms none, and events are kept."""

from __future__ import annotations

import numpy as np
import pytest

from shopfloor_contracts.aggregates import SensorData
from shopfloor_contracts.sensors import parse_sensors
from shopfloor_edge.journal.outbox import Outbox
from shopfloor_edge.sensors.desk import Desk
from shopfloor_edge.sensors.samples import Samples

NOW_S = 1_800_000_000.0
SENSOR = """
[[sensors]]
name = "{name}"
machine = "press-2"
quantity = "current"
unit = "A"
rate_hz = 0.1
stretch_s = 10
learn_s = 600
silent_s = 300
"""
FILE = parse_sensors(
    'site = "plant-3"\ndevice = "press-2"\n' + SENSOR.format(name="a") + SENSOR.format(name="b"),
    source="machines.toml",
)


def waiting(folder):
    outbox = Outbox(folder, max_rows=1000, max_bytes=10**7)
    found = [entry.event for entry in outbox.waiting(0, 1000)]
    outbox.close()
    return found


@pytest.mark.parametrize(
    ("at_s", "size"),
    [(NOW_S + 3600, 1), (NOW_S, 1000), (0.0, 1), (-50_000.0, 1), (1e17, 1), (float("nan"), 1)],
    ids=["ahead", "ends ahead", "1970", "1969", "far", "nan"],
)
def test_a_sample_of_a_wrong_clock_makes_no_later_one_late(tmp_path, at_s, size):
    desk = Desk(FILE, tmp_path, live_s=lambda: NOW_S)

    desk.take(Samples("a", at_s, np.ones(size)))
    desk.take(Samples("a", NOW_S, np.ones(1)))
    desk.close()

    assert desk.refused == 1
    assert sum(event.data.frames for event in waiting(tmp_path)) == 1


def test_each_sensor_has_its_own_events_with_its_own_source(tmp_path):
    desk = Desk(FILE, tmp_path, live_s=None)
    for name in ("a", "b", "a"):
        at_s = NOW_S + (10 if name == "a" and desk.events else 0)
        desk.take(Samples(name, at_s, np.ones(1)))

    desk.close()

    sources = {event.source.rsplit("/", 1)[1] for event in waiting(tmp_path)}
    assert sources == {"a", "b"}
    assert all(isinstance(event.data, SensorData) for event in waiting(tmp_path))


def test_an_outbox_that_cannot_be_written_now_loses_nothing(tmp_path):
    desk = Desk(FILE, tmp_path, live_s=None)
    outbox = Outbox(tmp_path, max_rows=1000, max_bytes=10**7)
    outbox._connection.execute("PRAGMA busy_timeout = 0")
    desk._outbox._connection.execute("PRAGMA busy_timeout = 0")
    outbox._connection.execute("BEGIN IMMEDIATE")
    desk.take(Samples("a", NOW_S, np.ones(20)))

    desk.commit()
    outbox._connection.execute("ROLLBACK")
    before = waiting(tmp_path)
    desk.commit()
    desk.close()
    outbox.close()

    assert before == []
    assert sum(event.data.frames for event in waiting(tmp_path)) == 20
