"""Many rows at once, on SQLite and on PostgreSQL."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from fakes.ingest_events import FakeDevice
from shopfloor_ingest.adapters.bulk import insert_lines, insert_new
from shopfloor_ingest.adapters.store import SqlStore
from shopfloor_ingest.adapters.tables import DEVICES, EVENTS
from shopfloor_kit.database import open_engine

pytestmark = pytest.mark.timeout(60)
DEVICE = FakeDevice()
AWKWARD = [
    '"',
    "\\",
    '\\"',
    "{}",
    "{NULL}",
    "NULL",
    "",
    "a,b",
    "'",
    "\x1f",
    "\x1fa\x1f",
    "ø\n\t%s?",
]


@pytest.fixture
def engine(database_url):
    engine = open_engine(database_url)
    SqlStore(engine).prepare()
    yield engine
    engine.dispose()


def line(identity: str, seq: int, data: str = "{}") -> tuple:
    at = "2026-03-01T12:00:00.000000Z"
    stream = str(DEVICE.stream)
    return (identity, "oslo", "door", "c", "traffic", stream, seq, None, at, at, data, 1)


def test_only_what_was_not_there_is_told_to_be_new(engine):
    with engine.begin() as connection:
        first = insert_new(connection, EVENTS, [line("a", 1), line("b", 2)])
    with engine.begin() as connection:
        again = insert_new(connection, EVENTS, [line("a", 1), line("c", 3), line("twin", 2)])

    with engine.connect() as connection:
        stored = sorted(connection.execute(select(EVENTS.c.id)).scalars())
    assert (first, again) == ({"a", "b"}, {"c"})
    assert stored == ["a", "b", "c"]


def test_every_text_comes_back_as_it_went_in(engine):
    lines = [line(f"id-{seq}", seq, text) for seq, text in enumerate(AWKWARD)]

    with engine.begin() as connection:
        insert_new(connection, EVENTS, lines)

    with engine.connect() as connection:
        found = connection.execute(select(EVENTS.c.data).order_by(EVENTS.c.seq)).scalars()
        assert list(found) == AWKWARD


def test_nothing_is_not_a_row(engine):
    row = ("oslo", "door", "online", "b", None, "s", "l", None)

    with engine.begin() as connection:
        insert_lines(connection, DEVICES, [row], on_conflict="DO NOTHING")

    with engine.connect() as connection:
        assert [tuple(found) for found in connection.execute(select(DEVICES))] == [row]
