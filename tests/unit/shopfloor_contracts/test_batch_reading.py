"""The quick reader of batches says just what the careful one says, or leaves the batch to it."""

from __future__ import annotations

import json
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes.ingest_events import EPOCH, FakeDevice
from shopfloor_contracts.batches import batch_topic, pack_slim, read_events, slim, unpack
from shopfloor_contracts.errors import EventRejectedError
from shopfloor_contracts.events import event_id, kind_of
from shopfloor_contracts.identity import EVENT_NAMESPACE, event_id_text
from shopfloor_ingest.domain.messages import Accepted, Message, judge, judge_all

DEVICE = FakeDevice()
TOPIC = batch_topic("oslo", "door")
EVENTS = [
    DEVICE.traffic(7, prevseq=6),
    DEVICE.occupancy(8, prevseq=5),
    DEVICE.heartbeat(),
    DEVICE.traffic(9),
]
SLIM = [slim(event) for event in EVENTS]


def carefully(payload: bytes) -> list:
    try:
        parts = unpack(TOPIC, payload)
    except EventRejectedError as e:
        return [(e.reason, None)]
    return [said(judge(Message(part.topic, part.payload, EPOCH))) for part in parts]


def said(judged) -> tuple:
    if isinstance(judged, Accepted):
        return (judged.topic, judged.event, judged.camera)
    return (judged.reason, judged.settled)


def quickly(payload: bytes) -> list:
    return [said(judged) for judged in judge_all(Message(TOPIC, payload, EPOCH))]


@given(st.uuids(), st.sampled_from(["traffic", "alert"]), st.integers(0, 10**9))
def test_an_id_is_the_uuid5_of_its_place(stream, kind, seq):
    expected = uuid.uuid5(EVENT_NAMESPACE, f"{stream}/{kind}/{seq}")

    assert event_id_text(str(stream), kind, seq) == str(expected)


def test_a_batch_as_devices_write_it_is_read_in_one_go():
    events = read_events(TOPIC, pack_slim(SLIM))

    assert events is not None
    assert [event.id for event in events] == [
        event_id(event.stream, kind_of(event.data), event.seq) for event in EVENTS
    ]
    assert [event.data for event in events] == [event.data for event in EVENTS]


FORGED = f'{{"specversion":"1.0","source":"/sites/oslo/devices/door/cameras/c","time":"2026-03-01T12:00:00Z","stream":"{DEVICE.stream}","seq":5,"type":"shopfloor.traffic.v1",'  # noqa: E501


@pytest.mark.parametrize(
    "parts",
    [
        pytest.param([SLIM[0].replace(b'"seq":7', b'"seq":7,"seq":9')], id="two sequences"),
        pytest.param([SLIM[0][:-1] + b',"seq":3}'], id="a second sequence at the end"),
        pytest.param([SLIM[0][:-1] + b',"id":"' + b"0" * 32 + b'"}'], id="an id of its own"),
        pytest.param([SLIM[0][:-1] + b',"\\u0069d":"' + b"0" * 32 + b'"}'], id="a hidden id"),
        pytest.param([SLIM[0][:-1] + b',"x":' + FORGED.encode() + b'"y":1}}'], id="one inside"),
        pytest.param(
            [b'{"x":' + FORGED.encode() + b'"y":1},' + SLIM[0][1:], b"{}"], id="one before"
        ),
        pytest.param([SLIM[0], slim(FakeDevice().traffic(1))], id="two outboxes"),
        pytest.param([slim(DEVICE.birth())], id="a birth"),
        pytest.param([SLIM[0]] * 501, id="too many"),
        pytest.param([], id="none"),
        pytest.param([SLIM[0], b"7"], id="no event"),
        pytest.param([SLIM[0].replace(b"traffic", b"planogram")], id="an unknown kind"),
        pytest.param([SLIM[0].replace(b"oslo", b"bergen")], id="another's source"),
        pytest.param([SLIM[0].replace(b'"seq":7', b'"seq":0').replace(b"6,", b"0,")], id="seq 0"),
    ],
)
def test_what_is_unusual_is_judged_as_the_careful_reader_judges_it(parts):
    payload = pack_slim(parts)

    assert quickly(payload) == carefully(payload)


@given(st.data())
def test_any_spoilt_batch_is_judged_as_the_careful_reader_judges_it(data):
    raw = b",".join(SLIM)
    at = data.draw(st.integers(0, len(raw) - 1))
    put = data.draw(st.sampled_from([b"", b'"', b"{", b"0", b"\\", b',"seq":1', b"\xff", b" "]))
    spoilt = pack_slim([raw[:at] + put + raw[at + data.draw(st.integers(0, 3)) :]])

    assert quickly(spoilt) == carefully(spoilt)


def test_a_batch_with_spaces_is_left_to_the_careful_reader():
    payload = pack_slim([json.dumps(json.loads(part)).encode() for part in SLIM])

    assert read_events(TOPIC, payload) is None
    assert all(len(found) == 3 for found in quickly(payload))
