"""A short ``make chaos-ingest``, and proof that its account sees what is planted in it."""

import shutil

import pytest
from sqlalchemy import text

from fakes import postgresql
from perf.chaos_account import settle_accounts
from perf.chaos_ingest import Plan, is_wrong, run
from perf.chaos_load import Feeder, Load
from shopfloor_contracts.events import encode
from shopfloor_contracts.topics import EventTopic
from shopfloor_edge.journal.outbox import Outbox
from shopfloor_ingest.adapters.store import SqlStore
from shopfloor_ingest.domain.messages import Message, judge
from shopfloor_kit.database import open_engine

pytestmark = [
    pytest.mark.broker,
    pytest.mark.skipif(
        shutil.which("mosquitto", path="/usr/sbin:/usr/bin") is None, reason="wants mosquitto"
    ),
    pytest.mark.skipif(not postgresql.BINARIES, reason=postgresql.ABSENT),
]


@pytest.mark.timeout(240)
def test_killing_replicas_database_and_broker_under_load_keeps_the_account_straight(tmp_path):
    pytest.importorskip("psycopg", reason="wants the extra shopfloor-ingest[postgresql]")

    result = run(Plan(seconds=6, devices=3, rate=40), tmp_path)

    assert not is_wrong(result.account), result.account.faults
    assert result.account.sent > 3 * 40
    assert result.kills.keys() >= {"database", "broker", "ingest-1"}


PLANTED = {
    "lost": "DELETE FROM events WHERE seq = 3",
    "sums of traffic": "UPDATE rollup_traffic SET crossings_in = crossings_in + 1"
    " WHERE bucket_s = 3600",
    "sums of heat": "UPDATE rollup_heat SET windows = windows + 1 WHERE bucket_s = 60",
    "crossings per 86400 s": "DELETE FROM rollup_traffic WHERE bucket_s = 86400",
    "gaps are reported": "UPDATE watermarks SET dropped = dropped + 1",
    "watermark is": "UPDATE watermarks SET up_to = up_to - 1",
    "wait for others": "INSERT INTO waiting VALUES ('s', 'd', 'x', 1, 0)",
}


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """One device's events in a real database, by way of its outbox; and what it says it did."""
    pytest.importorskip("psycopg", reason="wants the extra shopfloor-ingest[postgresql]")
    load = Load("oslo", "door", tmp_path_factory.mktemp("door"))
    Feeder([load], rate=200, seed=1).feed(2)
    return load


@pytest.fixture(scope="module")
def cluster():
    cluster = postgresql.Cluster()
    yield cluster
    cluster.stop()


@pytest.mark.parametrize("fault", [None, *PLANTED])
def test_the_account_sees_every_planted_fault_and_no_other(fault, stored, cluster):
    engine = open_engine(cluster.make_database())
    store = SqlStore(engine)
    store.prepare()
    outbox = Outbox(stored.folder, max_rows=10**6, max_bytes=10**9)
    messages = [
        Message(
            str(EventTopic(stored.site, stored.device, waiting.kind)),
            encode(waiting.event),
            waiting.event.time,
        )
        for waiting in outbox.waiting(0, 10**6)
    ]
    outbox.close()
    store.write([judge(message) for message in messages])
    with engine.begin() as connection:
        connection.execute(text(PLANTED.get(fault, "SELECT 1")))

    account = settle_accounts(engine, [stored])

    engine.dispose()
    assert is_wrong(account) == (fault is not None)
    assert any(fault in said for said in account.faults) if fault else not account.faults
