"""The audit log on both databases: what is written stays, and a change is found."""

from __future__ import annotations

import threading
from datetime import UTC, datetime

import pytest
from sqlalchemy import MetaData, text, update
from sqlalchemy.exc import DBAPIError

from fakes import postgresql
from shopfloor_kit.audit import (
    GENESIS,
    Anchor,
    Broken,
    Verified,
    append,
    audit_table,
    guard,
    verify,
)
from shopfloor_kit.database import open_engine
from shopfloor_kit.errors import AuditEntryError

METADATA = MetaData()
AUDIT = audit_table(METADATA)
AT = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def cluster():
    if not postgresql.BINARIES:
        pytest.skip(postgresql.ABSENT)
    pytest.importorskip("psycopg", reason="wants the extra shopfloor-kit[postgresql]")
    cluster = postgresql.Cluster()
    yield cluster
    cluster.stop()


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request, tmp_path):
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path}/audit.db"
    else:
        url = request.getfixturevalue("cluster").make_database()
    engine = open_engine(url, busy_timeout_ms=20_000)
    with engine.begin() as connection:
        METADATA.create_all(connection)
    yield engine
    engine.dispose()


def write(engine, *subjects, **detail):
    with engine.begin() as connection:
        return [
            append(
                connection,
                AUDIT,
                actor="ada",
                action="promote",
                subject=subject,
                detail=detail or {"stage": "production", "map": 0.31, "forced": False, "why": None},
                at=AT,
            )
            for subject in subjects
        ]


def check(engine, anchor=None):
    with engine.connect() as connection:
        return verify(connection, AUDIT, anchor)


def tamper(engine, statement):
    with engine.begin() as connection:
        connection.execute(text(statement))


def test_an_empty_log_is_whole(engine):
    assert check(engine) == Verified(0, GENESIS)


def test_each_entry_follows_the_one_before(engine):
    first, second = write(engine, "a", "b")

    assert check(engine) == Verified(2, second)
    assert first != second


@pytest.mark.parametrize(
    ("statement", "number"),
    [
        ("UPDATE audit SET actor = 'eve' WHERE number = 2", 2),
        ("UPDATE audit SET detail = '{}' WHERE number = 3", 3),
        ("UPDATE audit SET at = '2026-03-01T13:00:00+00:00' WHERE number = 1", 1),
        ("DELETE FROM audit WHERE number = 2", 2),
        ("DELETE FROM audit WHERE number = 1", 1),
        ("UPDATE audit SET number = 9 WHERE number = 4", 4),
    ],
)
def test_the_first_row_that_was_tampered_with_is_named(engine, statement, number):
    write(engine, "a", "b", "c", "d")

    tamper(engine, statement)

    found = check(engine)
    assert isinstance(found, Broken)
    assert found.number == number


def test_a_row_that_was_made_whole_again_is_found_by_the_next(engine):
    write(engine, "a", "b")
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM audit WHERE number = 2"))
    (forged,) = write(engine, "x")
    write(engine, "c")
    tamper(engine, "DELETE FROM audit WHERE number = 1")
    with engine.begin() as connection:
        connection.execute(update(AUDIT).where(AUDIT.c.digest == forged).values(number=1))

    assert check(engine).number == 1


def test_a_tail_that_was_cut_off_is_found_against_an_anchor(engine):
    digests = write(engine, "a", "b", "c")
    tamper(engine, "DELETE FROM audit WHERE number > 1")

    assert check(engine) == Verified(1, digests[0])
    assert check(engine, Anchor(3, digests[2])) == Broken(
        2, "the log ends at 1, the anchor counts 3"
    )


def test_a_log_written_anew_is_found_against_an_anchor(engine):
    digests = write(engine, "a", "b")
    tamper(engine, "DELETE FROM audit")
    write(engine, "a", "x", "y")

    found = check(engine, Anchor(2, digests[1]))

    assert isinstance(found, Broken)
    assert found.number == 2


def test_an_anchor_holds_while_the_log_grows(engine):
    digests = write(engine, "a", "b")
    (head,) = write(engine, "c")

    assert check(engine, Anchor(2, digests[1])) == Verified(3, head)


def test_writers_at_the_same_time_do_not_fork_the_chain(engine):
    start, complaints = threading.Barrier(4), []

    def work(name):
        start.wait(10)
        try:
            for number in range(10):
                write(engine, f"{name}-{number}")
        except DBAPIError as e:
            complaints.append(e)

    workers = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)

    assert complaints == []
    assert check(engine).count == 40


def test_an_entry_of_a_transaction_that_fails_leaves_nothing(engine):
    with engine.connect() as connection, connection.begin() as transaction:
        append(connection, AUDIT, actor="a", action="b", subject="c", detail={}, at=AT)
        transaction.rollback()

    assert check(engine) == Verified(0, GENESIS)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit SET actor = 'eve'",
        "DELETE FROM audit",
        "INSERT OR REPLACE INTO audit SELECT number, at, 'eve', action, subject, detail, prev, "
        "digest FROM audit WHERE number = 1",
    ],
)
def test_a_guarded_table_refuses_changes(engine, statement):
    if "REPLACE" in statement and engine.dialect.name == "postgresql":
        pytest.skip("wants SQLite: PostgreSQL has no INSERT OR REPLACE")
    with engine.begin() as connection:
        guard(connection, "audit")
    write(engine, "a", "b")

    with pytest.raises(DBAPIError, match="audit can be added to only"):
        tamper(engine, statement)

    assert check(engine).count == 2


@pytest.mark.parametrize(
    "change",
    [
        {"actor": ""},
        {"subject": "a\nb"},
        {"subject": "x" * 501},
        {"action": "nul\0"},
        {"detail": {"a": float("nan")}},
        {"detail": {"a": "x" * 20_000}},
        {"at": datetime(2026, 3, 1)},  # noqa: DTZ001 — a naive time is what is refused
    ],
)
def test_an_entry_that_could_not_be_read_back_is_refused(engine, change):
    entry = {"actor": "a", "action": "b", "subject": "c", "detail": {}, "at": AT} | change

    with engine.begin() as connection, pytest.raises(AuditEntryError):
        append(connection, AUDIT, **entry)


def test_what_was_said_survives_any_language(engine):
    write(engine, "modèle-ß-模型", note="„ja“ \\ \" '")

    assert check(engine).count == 1
