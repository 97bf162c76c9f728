"""The fleet's series: what is said per site, and how many there are."""

from __future__ import annotations

import sqlite3
from collections import Counter
from datetime import timedelta

import pytest

from fakes.fleet import NOW, Fleet, accepted, alert, heartbeat
from fakes.ingest_events import EPOCH, FakeDevice
from perf.bench_series import count_series
from shopfloor_contracts.rules import Severity
from shopfloor_ingest.adapters.fleet import WatchedSink
from shopfloor_ingest.domain.devices import DeviceStatus
from shopfloor_ingest.domain.fleet import LATE_AFTER, DeviceFigures, add_up
from shopfloor_ingest.errors import StoreUnavailableError


@pytest.fixture
def fleet(tmp_path):
    return Fleet(tmp_path)


def test_devices_are_counted_by_presence(fleet):
    fleet.add("oslo", "a")
    fleet.add("oslo", "b", seen_at=NOW - LATE_AFTER - timedelta(seconds=1))
    fleet.add("oslo", "c", status=DeviceStatus.OFFLINE, seen_at=NOW - timedelta(hours=1))

    found = {
        state: fleet.value("shopfloor_fleet_devices", site="oslo", state=state)
        for state in ("online", "late", "offline")
    }

    assert found == {"online": 1, "late": 1, "offline": 1}
    assert fleet.value("shopfloor_fleet_heartbeat_age_seconds", site="oslo") == 3600


def test_cameras_of_a_device_that_is_gone_are_unknown(fleet):
    fleet.add("oslo", "a", said=heartbeat(6))
    fleet.add("oslo", "b", said=heartbeat(4), status=DeviceStatus.OFFLINE)

    live = fleet.value("shopfloor_fleet_cameras", site="oslo", status="live")
    unknown = fleet.value("shopfloor_fleet_cameras", site="oslo", status="unknown")

    assert (live, unknown) == (1, 4)


def test_outboxes_of_a_site_add_up(fleet):
    fleet.add("oslo", "a", said=heartbeat(1, rows_waiting=3, dropped=2))
    fleet.add("oslo", "b", said=heartbeat(1, rows_waiting=4, dropped=5))

    assert fleet.value("shopfloor_fleet_outbox_rows", site="oslo") == 7
    assert fleet.value("shopfloor_fleet_outbox_dropped", site="oslo") == 7


def test_a_device_that_was_taken_away_is_forgotten():
    device = DeviceFigures("oslo", DeviceStatus.OFFLINE, NOW - timedelta(days=31), Counter())

    assert add_up([device], NOW) == {}


def test_a_clock_ahead_does_not_make_a_site_fresh(fleet):
    fleet.add("oslo", "door")
    device = FakeDevice("oslo")
    event = device.traffic(1).model_copy(update={"time": NOW + timedelta(hours=5)})

    fleet.figures.take([accepted(event, device)])

    newest = fleet.value("shopfloor_fleet_newest_event_timestamp_seconds", site="oslo")
    assert newest == NOW.timestamp()


def test_an_older_event_that_comes_late_does_not_age_a_site(fleet):
    fleet.add("oslo", "door")
    device = FakeDevice("oslo")
    newer = device.traffic(1).model_copy(update={"time": NOW})

    fleet.figures.take([accepted(newer, device), accepted(device.traffic(2), device)])

    newest = fleet.value("shopfloor_fleet_newest_event_timestamp_seconds", site="oslo")
    assert newest == NOW.timestamp()


def test_a_site_whose_devices_are_all_gone_is_waited_for_no_longer(fleet):
    device = FakeDevice("oslo")
    fleet.figures.take([accepted(device.traffic(1), device)])

    newest = fleet.value("shopfloor_fleet_newest_event_timestamp_seconds", site="oslo")

    assert newest is None


def test_a_site_that_was_silent_before_the_start_grows_old_from_then_on(fleet):
    fleet.add("oslo", "a", seen_at=NOW - timedelta(hours=9))

    newest = fleet.value("shopfloor_fleet_newest_event_timestamp_seconds", site="oslo")

    assert newest == NOW.timestamp()


def test_an_alert_that_is_sent_again_is_counted_once(fleet):
    raised = alert("oslo", Severity.CRITICAL)

    fleet.figures.take([raised, raised])
    fleet.figures.take([raised])

    assert fleet.value("shopfloor_fleet_alerts_total", site="oslo", severity="critical") == 1


def test_an_alert_that_another_replica_has_stored_is_not_counted_again(fleet):
    raised, cleared = alert("oslo", Severity.CRITICAL), alert("oslo", Severity.CRITICAL)
    here = WatchedSink(fleet.store, fleet.figures, fleet.meter, now=lambda: NOW)
    fleet.store.write([raised])

    here.write([raised])
    here.write([raised, cleared])

    assert fleet.value("shopfloor_fleet_alerts_total", site="oslo", severity="critical") == 1


def test_only_what_was_committed_is_noted(fleet, tmp_path):
    device = FakeDevice("oslo")
    event = device.traffic(1).model_copy(update={"time": NOW - timedelta(seconds=7)})
    store = WatchedSink(fleet.store, fleet.figures, fleet.meter, now=lambda: NOW)
    with sqlite3.connect(tmp_path / "fleet.db") as other:
        other.execute("ALTER TABLE events RENAME TO away")

        with pytest.raises(StoreUnavailableError):
            store.write([accepted(event, device)])
        assert fleet.figures.newest_s() == {}

        other.execute("ALTER TABLE away RENAME TO events")
    store.write([accepted(event, device)])

    assert fleet.figures.newest_s() == {"oslo": NOW.timestamp() - 7}
    assert fleet.value("shopfloor_ingest_event_delay_seconds_sum") == 7


def test_a_heartbeat_is_no_event_that_is_waited_for(fleet):
    device = FakeDevice("oslo")
    store = WatchedSink(fleet.store, fleet.figures, fleet.meter, now=lambda: NOW)

    store.write([accepted(device.heartbeat(time=EPOCH), device)])

    assert fleet.figures.newest_s() == {}
    assert fleet.value("shopfloor_ingest_event_delay_seconds_count") == 0
    assert fleet.value("shopfloor_ingest_lag_seconds_count") == 1


def test_without_a_database_the_other_series_stay(fleet, tmp_path):
    fleet.figures.take([alert("oslo", Severity.INFO)])
    fleet.add("oslo", "a")
    with sqlite3.connect(tmp_path / "fleet.db") as other:
        other.execute("DROP TABLE devices")

    assert fleet.value("shopfloor_fleet_complete") == 0
    assert fleet.value("shopfloor_fleet_devices", site="oslo", state="online") is None
    assert fleet.value("shopfloor_fleet_alerts_total", site="oslo", severity="info") == 1


def test_a_quarter_of_a_million_cameras_stay_below_a_hundred_thousand_series(tmp_path):
    counted = count_series(tmp_path, sites=5000, cameras=50)

    assert counted.cameras == 250_000
    assert 80_000 < counted.series < 100_000


def test_no_series_names_a_device_or_a_camera(tmp_path):
    fleet = Fleet(tmp_path)
    fleet.add("oslo", "door", said=heartbeat(6))

    labels = {
        key for family in fleet.registry.collect() for s in family.samples for key in s.labels
    }

    assert labels.isdisjoint({"device", "camera"})
