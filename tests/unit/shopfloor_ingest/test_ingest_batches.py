import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes.ingest_events import EPOCH, FakeDevice
from shopfloor_contracts.batches import batch_topic, pack, pack_slim, slim
from shopfloor_ingest.domain.messages import Accepted, Message, Rejected, judge_all

DEVICE = FakeDevice()
TOPIC = batch_topic("oslo", "door")


def test_each_event_of_a_batch_is_judged_as_if_it_had_come_alone():
    events = [DEVICE.traffic(1), DEVICE.occupancy(2), DEVICE.heartbeat()]

    judged = judge_all(Message(TOPIC, pack(events), EPOCH))

    assert all(isinstance(verdict, Accepted) for verdict in judged)
    assert [verdict.event for verdict in judged] == events
    assert [verdict.durable for verdict in judged] == [True, True, False]


def test_an_event_alone_is_still_taken():
    (judged,) = judge_all(Message(DEVICE.topic("traffic"), b"{", EPOCH))

    assert isinstance(judged, Rejected)
    assert judged.reason == "not-json"


def test_one_spoilt_event_settles_its_place_and_spares_the_others():
    spoilt = slim(DEVICE.traffic(2, prevseq=1)).replace(b'"frames":100', b'"frames":-1')

    judged = judge_all(Message(TOPIC, pack_slim([slim(DEVICE.traffic(1)), spoilt]), EPOCH))

    assert isinstance(judged[0], Accepted)
    assert isinstance(judged[1], Rejected)
    assert judged[1].reason == "schema"
    assert judged[1].settled is not None
    assert judged[1].settled.seq == 2


def test_a_batch_in_another_devices_name_is_rejected():
    topic = batch_topic("oslo", "gate")

    judged = judge_all(Message(topic, pack([DEVICE.traffic(1)]), EPOCH))

    assert [verdict.reason for verdict in judged] == ["identity"]


@pytest.mark.parametrize("name", [b"\0" * 8, b"\xff" * 8])
def test_a_dictionary_of_the_future_parks_the_batch_and_settles_nothing(name):
    (judged,) = judge_all(Message(TOPIC, b"SFB1" + name + b"x" * 30, EPOCH))

    assert isinstance(judged, Rejected)
    assert (judged.reason, judged.settled) == ("unknown-dictionary", None)


@given(st.binary(max_size=200))
def test_no_batch_makes_it_crash(payload):
    head = pack([DEVICE.traffic(1)])[:12]

    for body in (payload, head + payload):
        assert all(isinstance(v, Rejected) for v in judge_all(Message(TOPIC, body, EPOCH)))
