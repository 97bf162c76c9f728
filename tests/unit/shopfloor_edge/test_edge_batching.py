import uuid
from datetime import UTC, datetime

import pytest

from shopfloor_contracts.acks import Ack
from shopfloor_contracts.alerts import AlertData, AlertState
from shopfloor_contracts.batches import is_batch, unpack
from shopfloor_contracts.events import HeartbeatData, build_event, parse_event
from shopfloor_contracts.rules import Severity
from shopfloor_edge.agent.delivery import ACK_PATIENCE_S, Batching, Delivery
from shopfloor_edge.journal.outbox import Draft
from unit.shopfloor_edge.test_edge_outbox import SOURCE, occupancy, open_outbox, traffic

NOW = datetime(2026, 1, 1, 0, 1, tzinfo=UTC)


class Wire:
    """A sender that remembers each message as the sequences in it."""

    def __init__(self):
        self.said, self.up = [], True

    def say(self, topic, payload, *, retain=False, qos=1):
        if not self.up:
            return False
        alone = [payload] if not is_batch(topic) else [p.payload for p in unpack(topic, payload)]
        self.said.append([parse_event(event).seq for event in alone])
        return True


@pytest.fixture
def outbox(tmp_path):
    outbox = open_outbox(tmp_path, max_rows=5000)
    yield outbox
    outbox.close()


@pytest.fixture
def wire():
    return Wire()


def deliver(outbox, wire, *, wait_s=60.0, max_events=200, **more):
    batching = Batching(wait_s, max_events)
    return Delivery(outbox, wire, site="s", device="d", batching=batching, **more)


def alert():
    data = AlertData(
        alert_id=uuid.uuid4(),
        rule="r",
        metric="occupancy",
        state=AlertState.RAISED,
        severity=Severity.WARNING,
        at=NOW,
        since=NOW,
        value=1,
        threshold=1,
    )
    return Draft(data, SOURCE, NOW)


def ack(outbox, up_to):
    return Ack(stream=outbox.position().stream, up_to=up_to)


def test_events_wait_for_each_other_and_go_as_one_message(outbox, wire):
    delivery = deliver(outbox, wire)
    outbox.commit([traffic(), occupancy()])
    delivery.pump(0.0)
    outbox.commit([traffic()])
    delivery.pump(59.9)
    assert wire.said == []

    assert delivery.pump(60.0) == 3

    assert wire.said == [[1, 2, 3]]


def test_an_alert_goes_at_once_alone_and_behind_what_waited_before_it(outbox, wire):
    delivery = deliver(outbox, wire)
    outbox.commit([traffic(), occupancy(), alert(), traffic()])

    delivery.pump(0.0)

    assert wire.said == [[1, 2], [3], [4]]


def test_so_many_events_do_not_wait(outbox, wire):
    outbox.commit([traffic() for _ in range(7)])

    deliver(outbox, wire, max_events=3).pump(0.0)

    assert wire.said == [[1, 2, 3], [4, 5, 6], [7]]


def test_an_acknowledgement_inside_a_batch_deletes_up_to_it(outbox, wire):
    outbox.commit([traffic() for _ in range(3)])
    delivery = deliver(outbox, wire, wait_s=1)
    delivery.pump(0.0, flush=True)

    assert delivery.acknowledge(ack(outbox, 2), 0.1) == 2

    assert [w.seq for w in outbox.waiting(0, 9)] == [3]


def test_a_batch_that_is_not_acknowledged_goes_again_event_by_event(outbox, wire):
    outbox.commit([traffic(), traffic()])
    delivery = deliver(outbox, wire)
    delivery.pump(0.0, flush=True)

    delivery.pump(ACK_PATIENCE_S + 0.1)

    assert wire.said == [[1, 2], [1], [2]]


def test_what_comes_after_a_resend_goes_in_batches_again(outbox, wire):
    outbox.commit([traffic()])
    delivery = deliver(outbox, wire)
    delivery.pump(0.0, flush=True)
    delivery.pump(ACK_PATIENCE_S + 0.1)
    delivery.acknowledge(ack(outbox, 1), 11.0)
    outbox.commit([traffic(), traffic()])

    delivery.pump(12.0, flush=True)

    assert wire.said == [[1], [1], [2, 3]]


def test_a_new_connection_does_not_wait(outbox, wire):
    outbox.commit([traffic(), traffic()])
    delivery = deliver(outbox, wire)
    wire.up = False
    delivery.pump(0.0, flush=True)
    wire.up = True

    delivery.restart(5.0)
    delivery.pump(5.0)

    assert wire.said == [[1, 2]]


def test_a_heartbeat_that_is_due_rides_with_a_batch_and_is_metered(outbox, wire):
    boot, sent = uuid.uuid4(), []
    data = HeartbeatData(
        boot_id=boot, uptime_s=1, outbox_rows=0, outbox_bytes=0, outbox_dropped=0, cameras=[]
    )
    beat = build_event(data, source="/sites/s/devices/d", time=NOW, stream=boot, seq=77)
    outbox.commit([traffic()])

    deliver(
        outbox, wire, company=lambda: beat, on_sent=lambda events, size: sent.append(len(events))
    ).pump(0.0, flush=True)

    assert (wire.said, sent) == ([[1, 77]], [2])
