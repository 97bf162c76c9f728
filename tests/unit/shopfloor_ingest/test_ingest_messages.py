from __future__ import annotations

import json
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes.ingest_events import EPOCH, FakeDevice
from shopfloor_contracts.events import encode
from shopfloor_ingest.domain.messages import Accepted, Message, Rejected, StreamKey, judge

DEVICE = FakeDevice()


def message(event, kind="traffic", device=DEVICE, **changes):
    body = json.loads(encode(event))
    body |= changes
    return Message(device.topic(kind), json.dumps(body).encode(), EPOCH)


def test_a_device_is_believed_about_itself():
    judged = judge(message(DEVICE.traffic(4, prevseq=2)))

    assert isinstance(judged, Accepted)
    assert judged.camera == "cam-1"
    assert judged.durable
    assert judged.key == StreamKey("oslo", "door", DEVICE.stream)


def test_a_heartbeat_needs_no_camera():
    judged = judge(message(DEVICE.heartbeat(), "heartbeat"))

    assert isinstance(judged, Accepted)
    assert (judged.camera, judged.durable) == ("", False)


@pytest.mark.parametrize(
    ("kind", "changes", "detail"),
    [
        ("occupancy", {}, "type says traffic, topic says occupancy"),
        ("traffic", {"source": "/sites/oslo/devices/gate/cameras/cam-1"}, "source is"),
        ("traffic", {"source": "/sites/oslo/devices/door2/cameras/cam-1"}, "source is"),
        ("traffic", {"source": "/sites/bergen/devices/door/cameras/cam-1"}, "source is"),
        ("traffic", {"source": "/sites/oslo/devices/door"}, "names no camera"),
        ("traffic", {"id": str(uuid.uuid4())}, "not that of its stream and seq"),
        ("traffic", {"stream": str(uuid.uuid4())}, "not that of its stream and seq"),
    ],
)
def test_who_claims_to_be_another_is_rejected(kind, changes, detail):
    judged = judge(message(DEVICE.traffic(1), kind, **changes))

    assert isinstance(judged, Rejected)
    assert judged.reason == "identity"
    assert detail in judged.detail
    assert judged.settled is None


@pytest.mark.parametrize(
    ("topic", "payload", "reason"),
    [
        ("shopfloor/v1/oslo/door/traffic", b"{", "not-json"),
        ("shopfloor/v1/oslo/door/traffic", b"", "not-json"),
        ("shopfloor/v1/oslo/door/traffic", b"\xff\xfe", "not-json"),
        ("shopfloor/v1/oslo/door/traffic", b'{"type": "shopfloor.traffic.v9"}', "unknown-type"),
        ("shopfloor/v1/oslo/door/traffic", b"x" * 140_000, "too-large"),
        ("shopfloor/v1/oslo/door/laughter", b"{}", "unknown-type"),
        ("shopfloor/v1/Oslo/door/traffic", b"{}", "topic"),
        ("elsewhere", b"{}", "topic"),
    ],
)
def test_what_is_no_event_is_rejected_with_its_reason(topic, payload, reason):
    judged = judge(Message(topic, payload, EPOCH))

    assert isinstance(judged, Rejected)
    assert judged.reason == reason


def test_a_malformed_event_does_not_block_its_outbox():
    judged = judge(message(DEVICE.traffic(5, prevseq=3), data={"lines": []}))

    assert isinstance(judged, Rejected)
    assert judged.reason == "schema"
    assert judged.settled is not None
    assert (judged.settled.seq, judged.settled.prevseq) == (5, 3)


def test_a_malformed_event_in_another_name_moves_nothing():
    judged = judge(message(DEVICE.traffic(5), data={}, source="/sites/oslo/devices/gate"))

    assert isinstance(judged, Rejected)
    assert judged.settled is None


def test_an_outbox_counts_from_one():
    judged = judge(message(DEVICE.traffic(0)))

    assert isinstance(judged, Rejected)
    assert judged.reason == "sequence"


@pytest.mark.parametrize("time", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
def test_a_time_that_no_clock_shows_is_rejected(time):
    judged = judge(message(DEVICE.traffic(1), time=time))

    assert isinstance(judged, Rejected)
    assert judged.reason == "schema"


@given(st.text(max_size=60), st.binary(max_size=200))
def test_nothing_makes_it_crash(topic, payload):
    assert isinstance(judge(Message(topic, payload, EPOCH)), Rejected)


@given(st.dictionaries(st.text(max_size=8), st.integers() | st.text(max_size=8), max_size=4))
def test_no_json_makes_it_crash(body):
    event = json.loads(encode(DEVICE.traffic(1)))
    payload = json.dumps(event | body).encode()
    assert isinstance(judge(Message(DEVICE.topic("traffic"), payload, EPOCH)), Accepted | Rejected)
