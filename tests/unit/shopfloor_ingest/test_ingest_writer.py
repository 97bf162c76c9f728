from __future__ import annotations

import pytest

from fakes.ingest_events import EPOCH, FakeDevice
from shopfloor_contracts.acks import Ack
from shopfloor_contracts.events import encode
from shopfloor_ingest.domain.messages import Accepted, Message
from shopfloor_ingest.errors import StoreUnavailableError
from shopfloor_ingest.usecases import BACKOFF_S, Acknowledgement, Ingest, Outcome

DEVICE = FakeDevice()
ACK = Acknowledgement("oslo", "door", Ack(stream=DEVICE.stream, up_to=1))


class World:
    """Every port at once, and the order in which they were used."""

    def __init__(self, *, failures: int = 0, patience: int = 100) -> None:
        self.done: list[str] = []
        self.pauses: list[float] = []
        self._failures, self._patience = failures, patience
        self._batches = [[Message(DEVICE.topic("traffic"), encode(DEVICE.traffic(1)), EPOCH)]]
        self._stopped = False
        self.ingest = Ingest(inbox=self, sink=self, acks=self, meter=self)

    def is_set(self):
        return self._stopped

    def wait(self, timeout):
        self.pauses.append(timeout)
        return len(self.pauses) >= self._patience

    def take(self):
        self._stopped = True
        return self._batches.pop()

    def settle(self):
        self.done.append("settle")

    def prepare(self):
        pass

    def write(self, batch):
        if self._failures:
            self._failures -= 1
            raise StoreUnavailableError("disk full")
        assert isinstance(batch[0], Accepted)
        self.done.append("write")
        return Outcome(acks=[ACK])

    def acknowledge(self, acknowledgement):
        assert acknowledgement is ACK
        self.done.append("acknowledge")

    def batch_stored(self, messages, outcome, seconds):
        assert outcome.acks == [ACK]
        assert seconds >= 0
        self.done.append(f"count {messages}")

    def write_failed(self):
        self.done.append("failed")


def test_broker_and_device_hear_of_it_after_the_commit():
    world = World()

    world.ingest.run(world)

    assert world.done == ["write", "count 1", "settle", "acknowledge"]
    assert world.ingest.complaint() is None


def test_a_failing_database_is_tried_again_ever_more_slowly(caplog):
    world = World(failures=9)

    world.ingest.run(world)

    assert world.done == ["failed"] * 9 + ["write", "count 1", "settle", "acknowledge"]
    assert world.pauses[:3] == pytest.approx([0.1, 0.2, 0.4])
    assert world.pauses[-1] == BACKOFF_S[1]
    assert [r.message for r in caplog.records].count("database refuses writes, retrying") == 1


def test_told_to_stop_while_the_database_fails_nothing_is_confirmed():
    world = World(failures=9, patience=2)

    world.ingest.run(world)

    assert world.done == ["failed", "failed"]
    assert world.ingest.complaint() == "disk full"
