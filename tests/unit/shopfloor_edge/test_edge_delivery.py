import uuid

import pytest

from shopfloor_contracts.acks import Ack
from shopfloor_contracts.events import parse_event
from shopfloor_edge.agent.delivery import ACK_PATIENCE_S, WINDOW, Delivery
from unit.shopfloor_edge.test_edge_outbox import occupancy, open_outbox, traffic


class Wire:
    """A sender that remembers; ``room`` is how many messages it takes before it is cut."""

    def __init__(self):
        self.said, self.room = [], 10_000

    def say(self, topic, payload, *, retain=False, qos=1):
        if self.room == 0:
            return False
        self.room -= 1
        self.said.append((topic, parse_event(payload)))
        return True

    def sequences(self):
        return [event.seq for _, event in self.said]


@pytest.fixture
def outbox(tmp_path):
    outbox = open_outbox(tmp_path, max_rows=5000)
    yield outbox
    outbox.close()


@pytest.fixture
def wire():
    return Wire()


def deliver(outbox, wire):
    return Delivery(outbox, wire, site="s", device="d")


def ack(outbox, up_to):
    return Ack(stream=outbox.position().stream, up_to=up_to)


def test_events_go_out_in_order_on_their_topics(outbox, wire):
    outbox.commit([traffic(), occupancy()])

    deliver(outbox, wire).pump(0.0)

    assert wire.sequences() == [1, 2]
    assert [topic for topic, _ in wire.said] == [
        "shopfloor/v1/s/d/traffic",
        "shopfloor/v1/s/d/occupancy",
    ]


def test_nothing_is_deleted_before_the_acknowledgement(outbox, wire):
    outbox.commit([traffic()])
    delivery = deliver(outbox, wire)

    delivery.pump(0.0)

    assert len(outbox.waiting(0, 10)) == 1
    assert delivery.acknowledge(ack(outbox, 1), 0.1) == 1
    assert outbox.waiting(0, 10) == []


def test_nothing_is_sent_twice_while_there_is_hope(outbox, wire):
    outbox.commit([traffic()])
    delivery = deliver(outbox, wire)

    delivery.pump(0.0)
    delivery.pump(ACK_PATIENCE_S * 0.9)

    assert wire.sequences() == [1]


def test_silence_means_sending_again(outbox, wire):
    outbox.commit([traffic(), traffic()])
    delivery = deliver(outbox, wire)
    delivery.pump(0.0)

    delivery.pump(ACK_PATIENCE_S + 0.1)

    assert wire.sequences() == [1, 2, 1, 2]


def test_a_new_connection_begins_behind_the_acknowledged(outbox, wire):
    outbox.commit([traffic() for _ in range(4)])
    delivery = deliver(outbox, wire)
    delivery.pump(0.0)
    delivery.acknowledge(ack(outbox, 2), 0.1)

    delivery.restart(0.2)
    delivery.pump(0.2)

    assert wire.sequences() == [1, 2, 3, 4, 3, 4]


def test_what_is_on_the_way_is_bounded(outbox, wire):
    outbox.commit([traffic() for _ in range(WINDOW + 50)])
    delivery = deliver(outbox, wire)

    delivery.pump(0.0)
    delivery.pump(0.1)
    assert len(wire.said) == WINDOW

    delivery.acknowledge(ack(outbox, 20), 0.2)
    delivery.pump(0.2)
    assert len(wire.said) == WINDOW + 20


def test_a_cut_in_the_middle_goes_on_where_it_was(outbox, wire):
    outbox.commit([traffic() for _ in range(5)])
    delivery = deliver(outbox, wire)
    wire.room = 2
    delivery.pump(0.0)

    wire.room = 10
    delivery.pump(0.1)

    assert wire.sequences() == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("up_to", [2, 10**8])
def test_an_acknowledgement_of_what_was_never_sent_is_not_believed(outbox, wire, up_to):
    outbox.commit([traffic()])
    delivery = deliver(outbox, wire)
    delivery.pump(0.0)

    assert delivery.acknowledge(ack(outbox, up_to), 0.1) == 0
    assert len(outbox.waiting(0, 10)) == 1


def test_an_acknowledgement_of_another_outbox_is_not_believed(outbox, wire):
    outbox.commit([traffic()])
    delivery = deliver(outbox, wire)
    delivery.pump(0.0)

    assert delivery.acknowledge(Ack(stream=uuid.uuid4(), up_to=1), 0.1) == 0
    assert len(outbox.waiting(0, 10)) == 1


def test_an_old_acknowledgement_changes_nothing(outbox, wire):
    outbox.commit([traffic(), traffic()])
    delivery = deliver(outbox, wire)
    delivery.pump(0.0)
    delivery.acknowledge(ack(outbox, 2), 0.1)

    assert delivery.acknowledge(ack(outbox, 1), 0.2) == 0


def test_an_acknowledgement_from_before_a_restart_of_the_agent_waits_for_the_resend(outbox, wire):
    outbox.commit([traffic()])
    deliver(outbox, wire).pump(0.0)
    fresh = deliver(outbox, wire)

    assert fresh.acknowledge(ack(outbox, 1), 0.1) == 0
    fresh.pump(0.2)
    assert fresh.acknowledge(ack(outbox, 1), 0.3) == 1


def test_a_cloud_restored_from_a_backup_is_told_that_the_old_events_are_gone(outbox, wire):
    outbox.commit([traffic() for _ in range(6)])
    delivery = deliver(outbox, wire)
    delivery.pump(0.0)
    delivery.acknowledge(ack(outbox, 4), 0.1)
    wire.said.clear()

    delivery.restart(1.0)
    delivery.acknowledge(ack(outbox, 2), 1.1)
    delivery.pump(1.2)

    assert [(event.prevseq, event.seq) for _, event in wire.said] == [(2, 5), (5, 6)]


def test_a_late_acknowledgement_of_less_is_not_taken_for_a_restored_cloud(outbox, wire):
    outbox.commit([traffic() for _ in range(6)])
    delivery = deliver(outbox, wire)
    delivery.pump(0.0)
    delivery.acknowledge(ack(outbox, 4), 0.1)
    delivery.acknowledge(ack(outbox, 2), 0.2)
    wire.said.clear()

    delivery.pump(20.0)

    assert [(event.prevseq, event.seq) for _, event in wire.said] == [(4, 5), (5, 6)]
