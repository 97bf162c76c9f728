from __future__ import annotations

from collections import Counter

from fakes.ingest_events import EPOCH, FakeDevice
from shopfloor_contracts.batches import batch_topic, pack
from shopfloor_ingest.domain.messages import Message
from shopfloor_ingest.errors import StoreUnavailableError
from shopfloor_ingest.usecases import MAX_TRANSACTION_EVENTS, Ingest, Outcome

DEVICE = FakeDevice()
TOPIC = batch_topic("oslo", "door")


class World:
    """An inbox with large batches, and a sink that notes the size of each commit."""

    def __init__(self, messages: int, *, commits: int = 99) -> None:
        payload = pack([DEVICE.traffic(seq) for seq in range(1, 501)])
        self._batch = [Message(TOPIC, payload, EPOCH)] * messages
        self._commits, self._stopped = commits, False
        self.sizes: list[int] = []
        self.counted, self.settled = Counter(), 0
        self.ingest = Ingest(inbox=self, sink=self, acks=self, meter=self)

    def is_set(self):
        return self._stopped

    def wait(self, timeout):
        return True

    def take(self):
        self._stopped = True
        return self._batch

    def settle(self):
        self.settled += 1

    def prepare(self):
        pass

    def write(self, batch):
        if len(self.sizes) == self._commits:
            raise StoreUnavailableError("disk full")
        self.sizes.append(len(batch))
        return Outcome()

    def acknowledge(self, acknowledgement):
        pass

    def batch_stored(self, messages, outcome, seconds):
        self.counted["messages"] += messages

    def write_failed(self):
        self.counted["failed"] += 1


def test_a_transaction_is_capped_by_events_not_by_messages():
    world = World(messages=9)

    world.ingest.run(world)

    assert world.sizes == [2000, 2000, 500]
    assert max(world.sizes) <= MAX_TRANSACTION_EVENTS
    assert (world.counted["messages"], world.settled) == (9, 1)


def test_the_broker_keeps_all_until_the_last_portion_is_stored():
    world = World(messages=9, commits=1)

    world.ingest.run(world)

    assert world.sizes == [2000]
    assert (world.settled, world.counted["failed"]) == (0, 1)
