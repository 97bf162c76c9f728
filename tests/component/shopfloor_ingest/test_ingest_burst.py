"""More than can be stored: what waits is bounded, and nothing is lost."""

from __future__ import annotations

import sqlite3

import psutil
import pytest

from component.shopfloor_ingest.conftest import only_sqlite, wait_until
from shopfloor_contracts.batches import pack
from shopfloor_contracts.events import encode
from shopfloor_ingest.adapters.mqtt import BATCH_SIZE, QUEUE_SIZE

pytestmark = [pytest.mark.broker, pytest.mark.timeout(60)]
MESSAGES = 3 * QUEUE_SIZE
LIMIT_BYTES = 48_000_000


@only_sqlite
def test_a_burst_into_a_store_that_stands_still_waits_at_the_broker(ingest, connect):
    ingest.start()
    link = connect()
    before = psutil.Process(ingest.process.pid).memory_info().rss
    lock = sqlite3.connect(ingest.folder / "ingest.db", isolation_level=None)
    lock.execute("BEGIN EXCLUSIVE")

    link.say_raw(*(("traffic", encode(link.device.traffic(n))) for n in range(1, MESSAGES + 1)))
    full = QUEUE_SIZE - BATCH_SIZE
    depth = wait_until(lambda: _at_least(full, ingest.metric("queue_depth")), what="a full queue")
    grown = psutil.Process(ingest.process.pid).memory_info().rss - before
    lock.execute("ROLLBACK")
    lock.close()
    link.wait_for_ack(MESSAGES, within_s=30)

    assert depth <= QUEUE_SIZE
    assert grown < LIMIT_BYTES
    assert ingest.count("events") == MESSAGES


def test_a_burst_of_full_batches_is_stored_once_in_bounded_memory(ingest, connect):
    ingest.start()
    link = connect()
    batches = [
        pack([link.device.traffic(seq) for seq in range(first, first + 500)])
        for first in range(1, 20_001, 500)
    ]
    before = psutil.Process(ingest.process.pid).memory_info().rss

    link.say_raw(*(("batch", batch) for batch in [*batches, *batches[:4]]))
    link.wait_for_ack(20_000, within_s=30)
    wait_until(lambda: ingest.metric("duplicates_total") == 2000, what="the duplicates")

    assert ingest.count("events") == 20_000
    assert ingest.rows("SELECT sum(crossings_in) FROM traffic") == [(20_000,)]
    assert psutil.Process(ingest.process.pid).memory_info().rss - before < 2 * LIMIT_BYTES


def _at_least(limit: int, found: float) -> float:
    return found if found >= limit else 0
