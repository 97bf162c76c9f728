"""Events of machine sensors are kept as they are and acknowledged; they have no sums yet."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import text

from fakes.ingest_events import EPOCH
from shopfloor_ingest.adapters.store import SqlStore
from shopfloor_ingest.domain.messages import Message, judge
from shopfloor_kit.database import open_engine

pytestmark = pytest.mark.timeout(60)
GOLDEN = Path(__file__).parents[2] / "contract" / "golden" / "sensor.json"


def test_a_sensors_event_is_stored_once_however_often_it_comes(database_url):
    engine = open_engine(database_url)
    store = SqlStore(engine)
    store.prepare()
    event = judge(Message("shopfloor/v1/store-17/till-1/sensor", GOLDEN.read_bytes(), EPOCH))

    first, second = (store.write([event]) for _ in range(2))

    with engine.connect() as connection:
        rows = connection.execute(text("SELECT kind, camera, seq FROM events")).fetchall()
    engine.dispose()
    assert (first.stored, second.stored, second.duplicates) == ({"sensor": 1}, {}, 1)
    assert [tuple(row) for row in rows] == [("sensor", "drive-end", 49)]
