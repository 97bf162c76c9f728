"""From the broker into the database and back, with real processes."""

from __future__ import annotations

import json
import sqlite3
import uuid
from datetime import timedelta

import pytest

from component.shopfloor_ingest.conftest import only_sqlite, wait_until
from fakes.ingest_events import EPOCH, FakeDevice
from shopfloor_contracts.events import encode

pytestmark = [pytest.mark.broker, pytest.mark.timeout(60)]


def test_an_event_is_stored_once_and_acknowledged_every_time(ingest, connect):
    ingest.start()
    link = connect()
    events = [link.device.traffic(1), link.device.occupancy(2), link.device.traffic(3)]

    link.say(*events)
    link.wait_for_ack(3)
    link.say(*events, events[2])
    wait_until(lambda: ingest.metric("duplicates_total") == 4, what="four duplicates")
    link.say(events[0])
    link.wait_for_ack(3, count=2)

    assert ingest.count("events") == 3
    assert ingest.rows("SELECT crossings_in, crossings_out FROM traffic") == [(1, 2)] * 2
    assert ingest.rows("SELECT zone, people_max FROM occupancy") == [("till", 3)]
    assert ingest.rows("SELECT up_to, dropped FROM watermarks") == [(3, 0)]
    assert ingest.metric('events_stored_total{kind="traffic"}') == 2


def test_what_came_ahead_waits_for_the_missing_one(ingest, connect):
    ingest.start()
    link = connect()
    device = link.device

    link.say(device.traffic(3), device.traffic(2))
    link.wait_for_ack(0)
    assert ingest.count("waiting") == 2
    link.say(device.traffic(1))
    link.wait_for_ack(3)

    assert ingest.count("events") == 3
    assert ingest.count("waiting") == 0


def test_a_resent_event_tells_what_the_device_has_dropped(ingest, connect):
    ingest.start()
    link = connect()
    device = link.device

    link.say(device.traffic(1), device.traffic(5))
    link.wait_for_ack(1)
    link.say(device.traffic(5, prevseq=1))
    link.wait_for_ack(5)

    assert ingest.rows("SELECT up_to, dropped FROM watermarks") == [(5, 3)]
    assert ingest.metric("device_dropped_total") == 3
    assert ingest.count("traffic") == 2


def test_a_birth_is_answered_with_the_watermark(ingest, connect):
    ingest.start()
    link = connect()

    link.say(link.device.birth())
    link.wait_for_ack(0)
    link.say(link.device.traffic(1))
    link.wait_for_ack(1)
    link.say(link.device.birth())
    link.wait_for_ack(1, count=2)


def test_what_is_no_event_is_parked_with_its_reason_and_blocks_nothing(ingest, connect):
    ingest.start()
    link = connect()
    device = link.device
    malformed = json.loads(encode(device.traffic(1))) | {"data": {"lines": []}}
    foreign = encode(FakeDevice(site="oslo", device="gate").traffic(1))

    link.say_raw(
        ("traffic", b"{" + b"x" * 9000),
        ("traffic", foreign),
        ("occupancy", encode(device.traffic(1))),
        ("planogram", b"{}"),
        ("traffic", b"x" * 140_000),
        ("traffic", json.dumps(malformed).encode()),
    )
    link.say(device.traffic(2))
    link.wait_for_ack(2)

    letters = dict(ingest.rows("SELECT reason, count(*) FROM dead_letters GROUP BY reason"))
    assert letters == {"not-json": 1, "identity": 2, "unknown-type": 1, "too-large": 1, "schema": 1}
    assert ingest.rows("SELECT max(length(payload)) FROM dead_letters") == [(4096,)]
    assert ingest.metric('rejected_total{reason="identity"}') == 2
    assert ingest.count("events") == 1


def test_a_sequence_that_was_used_twice_is_parked(ingest, connect):
    ingest.start()
    link = connect()

    link.say(link.device.traffic(1))
    link.wait_for_ack(1)
    link.say(link.device.occupancy(1))
    link.wait_for_ack(1, count=2)

    assert ingest.rows("SELECT reason FROM dead_letters") == [("sequence",)]
    assert ingest.count("events") == 1


def test_another_devices_stream_cannot_be_taken_over(ingest, connect):
    ingest.start()
    victim, thief = connect(), connect(FakeDevice(site="bergen"))
    thief.device.stream = victim.device.stream

    victim.say(victim.device.traffic(1))
    victim.wait_for_ack(1)
    thief.say(thief.device.traffic(1))
    wait_until(lambda: ingest.count("dead_letters"), what="a dead letter")

    assert ingest.rows("SELECT site, reason FROM events, dead_letters") == [("oslo", "identity")]
    assert thief.acks == []


def test_kill_9_between_batches_loses_nothing_and_counts_nothing_twice(ingest, connect):
    ingest.start()
    link = connect()
    events = [link.device.traffic(seq) for seq in range(1, 2001)]

    link.say(*events[:1000])
    wait_until(lambda: ingest.count("events") > 0, what="the first batch")
    ingest.kill()
    stored = ingest.count("events")
    ingest.start(wait=False)
    link.say(*events)
    link.wait_for_ack(2000, within_s=15)

    assert 0 < stored <= 1000
    assert ingest.count("events") == 2000
    assert ingest.rows("SELECT sum(crossings_in), count(*) FROM traffic") == [(2000, 2000)]
    assert ingest.rows("SELECT up_to, dropped FROM watermarks") == [(2000, 0)]


def test_what_was_said_while_ingest_was_away_arrives(ingest, connect):
    ingest.start()
    link = connect()
    assert ingest.stop() == 0

    link.say(*(link.device.traffic(seq) for seq in range(1, 1501)))
    ingest.start()
    link.wait_for_ack(1500)

    assert ingest.count("events") == 1500


@only_sqlite
def test_a_locked_database_holds_the_batch_until_it_is_free(ingest, connect):
    ingest.start()
    link = connect()
    lock = sqlite3.connect(ingest.folder / "ingest.db", isolation_level=None)
    lock.execute("BEGIN EXCLUSIVE")

    link.say(link.device.traffic(1))
    wait_until(lambda: ingest.metric("write_failures_total") >= 1, what="a failed write")
    status, checks = ingest.health()
    acks_while_locked = list(link.acks)
    lock.execute("ROLLBACK")
    lock.close()
    link.wait_for_ack(1)

    assert (status, checks["database"]) == (503, "database is locked")
    assert acks_while_locked == []
    assert ingest.health()[0] == 200
    assert ingest.logged("database refuses writes, retrying") == 1


@only_sqlite
def test_a_full_disk_is_waited_out(ingest, connect):
    ingest.start()
    link = connect()
    ingest.limit_files_to(1)

    link.say(*(link.device.traffic(seq) for seq in range(1, 51)))
    wait_until(lambda: ingest.metric("write_failures_total") >= 2, what="failed writes")
    assert link.acks == []
    assert ingest.count("events") == 0
    ingest.limit_files_to(-1)
    link.wait_for_ack(50, within_s=15)

    assert ingest.count("traffic") == 50


def test_a_broker_that_restarts_is_found_again(ingest, broker, connect):
    ingest.start()
    broker.stop()
    wait_until(lambda: ingest.health()[0] == 503, what="ingest noticing")
    broker.start()
    wait_until(lambda: ingest.health()[0] == 200, what="ingest reconnected")

    link = connect()
    link.say(link.device.traffic(1))

    link.wait_for_ack(1)


def test_an_absent_broker_is_waited_for(ingest, broker):
    broker.stop()
    ingest.start(wait=False)
    wait_until(lambda: ingest.logged("broker is away, retrying"), what="a complaint")
    wait_until(lambda: ingest.logged("database takes writes"), what="an open database")

    status, checks = ingest.health()

    assert status == 503
    assert "is not reachable" in checks["broker"]
    assert checks["database"] == "ok"
    broker.start()
    wait_until(lambda: ingest.health()[0] == 200, what="ingest connected")


def test_two_replicas_share_the_work(ingest, broker, connect, tmp_path):
    ingest.start()
    (tmp_path / "second").mkdir()
    second = type(ingest)(tmp_path / "second", broker.port, ingest.database_url)
    second.start("--client-id", "second")
    link = connect()

    try:
        link.say(*(link.device.traffic(seq) for seq in range(1, 1001)))
        link.wait_for_ack(1000)
    finally:
        assert second.stop() == 0

    assert ingest.rows("SELECT up_to, dropped FROM watermarks") == [(1000, 0)]
    assert ingest.count("traffic") == 1000
    assert ingest.count("waiting") == 0
    assert ingest.metric("messages_received_total") < 1000


def test_devices_are_followed_through_birth_heartbeat_and_death(ingest, connect):
    ingest.start()
    link = connect()
    device, older = link.device, FakeDevice()

    link.say(older.birth(), device.birth(time=EPOCH + timedelta(seconds=9)), older.death())
    link.say(device.heartbeat())
    found = wait_until(lambda: _device(ingest, "heartbeat"), what="a heartbeat")
    link.say(device.death())
    gone = wait_until(lambda: _device(ingest, "status", "offline"), what="the death")

    assert (found["status"], found["boot_id"]) == ("online", str(device.boot_id))
    assert found["stream"] == str(device.stream)
    assert found["heartbeat"]["outbox_rows"] == 7
    assert gone["boot_id"] == str(uuid.UUID(found["boot_id"]))
    assert ingest.rows("SELECT DISTINCT kind FROM events ORDER BY 1") == [("birth",), ("death",)]


def _device(ingest, key, value=None):
    answer = ingest.get("/api/v1/sites/oslo/devices")
    if answer.status_code != 200:
        return None
    (device,) = answer.json()["devices"]
    return device if device[key] and value in (None, device[key]) else None
