from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import text

from shopfloor_contracts.events import DURABLE_KINDS
from shopfloor_ingest.adapters.store import SqlStore
from shopfloor_ingest.domain.messages import Message, judge
from shopfloor_kit.database import open_engine

GOLDEN = Path(__file__).parents[2] / "contract" / "golden"
NOW = datetime(2026, 11, 2, 12, 2, tzinfo=UTC)


@pytest.mark.parametrize("kind", sorted(DURABLE_KINDS))
def test_every_durable_kind_is_stored_as_it_came_and_acknowledged(kind, tmp_path):
    engine = open_engine(f"sqlite:///{tmp_path / 'events.db'}")
    store = SqlStore(engine)
    store.prepare()
    payload = (GOLDEN / f"{kind}.json").read_bytes()
    message = Message(f"shopfloor/v1/store-17/till-1/{kind}", payload, NOW)

    outcome = store.write([judge(message)])
    again = store.write([judge(message)])

    assert (outcome.stored, outcome.rejected) == ({kind: 1}, {})
    assert (again.duplicates, len(again.acks)) == (1, 1)
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT kind, camera FROM events")).all()
    assert [row.kind for row in rows] == [kind]
    engine.dispose()
