"""The store on SQLite and on PostgreSQL: schema, roll-ups, retention."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import threading
from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError

from component.shopfloor_ingest.conftest import only_sqlite
from fakes.ingest_events import EPOCH, FakeDevice
from shopfloor_contracts.events import DURABLE_KINDS, Kind, encode
from shopfloor_ingest.adapters.history import DAY_S, SqlHistory
from shopfloor_ingest.adapters.store import SqlStore
from shopfloor_ingest.adapters.tables import METADATA, ROLLUPS
from shopfloor_ingest.domain.messages import Message, judge
from shopfloor_kit.database import open_engine

pytestmark = pytest.mark.timeout(60)
GOLDEN = Path(__file__).parents[2] / "contract" / "golden"
OLD_SCHEMA = Path(__file__).with_name("before_migrations.sql")
EPOCH_S = int(EPOCH.timestamp())
SUMMED = sorted(DURABLE_KINDS - {Kind.SENSOR})
"""What sensors say is kept as it came: its totals are no whole numbers."""
ALSO = {"inspection": {"defect"}, "sensor": {"figure"}}
"""Sums that a kind has beside its own."""


@pytest.fixture
def engine(database_url):
    engine = open_engine(database_url)
    yield engine
    engine.dispose()


@pytest.fixture
def store(engine):
    store = SqlStore(engine)
    store.prepare()
    return store


def judged(device: FakeDevice, event, kind: str = "traffic"):
    return judge(Message(device.topic(kind), encode(event), EPOCH))


def golden(kind: str):
    payload = (GOLDEN / f"{kind}.json").read_bytes()
    return judge(Message(f"shopfloor/v1/store-17/till-1/{kind}", payload, EPOCH))


def old_schema(engine) -> str:
    schema = OLD_SCHEMA.read_text()
    if engine.dialect.name == "postgresql":
        serial = ("INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT", "SERIAL PRIMARY KEY")
        schema = schema.replace(*serial).replace("BLOB", "BYTEA")
    return schema


def rollups(engine) -> dict[str, list[tuple]]:
    with engine.connect() as connection:
        return {
            str(kind): sorted(tuple(row) for row in connection.execute(select(table)))
            for kind, table in ROLLUPS.items()
        }


def ask(engine, query: str) -> list[tuple]:
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(text(query))]


def some_events(device: FakeDevice, number: int, seed: int) -> list:
    chance = random.Random(seed)
    events = []
    for seq in range(1, number + 1):
        start = EPOCH + timedelta(seconds=chance.randrange(3 * DAY_S))
        counts = (chance.randrange(9), chance.randrange(9))
        covered = chance.random()
        event = device.traffic(seq, window_start=start, crossings=counts, coverage=covered)
        events.append(judged(device, event))
    return events


def test_the_migrated_schema_is_that_of_the_tables(engine, store):
    def ours(name, kind, _parents):
        return not (kind == "table" and name == "alembic_version")

    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"include_name": ours})
        differences = compare_metadata(context, METADATA)

    assert differences == []


def test_a_planted_difference_of_the_schema_is_seen(engine, store):
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE rollup_traffic DROP COLUMN frames"))

    with engine.connect() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), METADATA)

    assert any(step[0] == "add_column" and step[3].name == "frames" for step in differences)


@pytest.mark.parametrize("kind", sorted(DURABLE_KINDS))
def test_a_number_of_an_outbox_is_one_events(kind, engine, store):
    store.write([golden(kind)])

    with engine.begin() as connection, pytest.raises(IntegrityError):
        connection.execute(
            text(
                "INSERT INTO events SELECT 'another', site, device, camera, kind, stream, seq,"
                " prevseq, time, received_at, data, began_at FROM events"
            )
        )


def test_two_that_start_at_once_prepare_one_schema(database_url):
    faults = []
    first = open_engine(database_url)
    first.connect().close()  # SQLite waits for no lock while a new file becomes a WAL one
    first.dispose()

    def start():
        engine = open_engine(database_url, busy_timeout_ms=20_000)
        try:
            SqlStore(engine).prepare()
        except Exception as e:  # noqa: BLE001 — told to the test
            faults.append(e)
        engine.dispose()

    threads = [threading.Thread(target=start) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert faults == []


def test_a_database_from_before_the_migrations_keeps_its_events_and_gets_its_sums(engine):
    device = FakeDevice()
    with engine.begin() as connection:
        for statement in filter(str.strip, old_schema(engine).split(";\n")):
            connection.execute(text(statement))
        for seq in (1, 2):
            event = device.traffic(seq)
            values = {
                "id": str(event.id),
                "site": "oslo",
                "device": "door",
                "camera": "cam-1",
                "kind": "traffic",
                "stream": str(event.stream),
                "seq": seq,
                "prevseq": None,
                "time": "2026-03-01T12:00:00.000000Z",
                "data": event.data.model_dump_json(),
                "received_at": "2026-03-01T12:00:00.000000Z",
            }
            names = ", ".join(values)
            marks = ", ".join(f":{name}" for name in values)
            connection.execute(text(f"INSERT INTO events ({names}) VALUES ({marks})"), values)  # noqa: S608
        connection.execute(text("INSERT INTO watermarks VALUES ('oslo','door','s',2,0)"))

    store = SqlStore(engine)
    store.prepare()
    again = store.write([judged(device, device.traffic(seq)) for seq in (1, 2, 3)])

    assert (again.duplicates, again.stored) == (2, {"traffic": 1})
    assert ask(engine, "SELECT began_at FROM events ORDER BY seq") == [
        (EPOCH_S + 60 * seq,) for seq in (1, 2, 3)
    ]
    hours = "SELECT crossings_in, crossings_out FROM rollup_traffic WHERE bucket_s = 3600"
    assert ask(engine, hours) == [(3, 6)]
    assert ask(engine, "SELECT up_to FROM watermarks WHERE stream = 's'") == [(2,)]
    assert ask(engine, "SELECT name FROM maintenance") == []


@pytest.mark.parametrize("kind", SUMMED)
def test_every_kind_is_summed_per_minute_hour_and_day_and_only_once(kind, engine, store):
    event = golden(kind)

    store.write([event, event])
    store.write([event])

    rows = rollups(engine)
    lengths = Counter(row[1] for row in rows.pop(kind))
    assert set(lengths) == {60, 3600, DAY_S}
    assert len(set(lengths.values())) == 1
    assert {name for name, found in rows.items() if found} == ALSO.get(kind, set())
    stored = rollups(engine)
    SqlHistory(engine).reaggregate()
    assert rollups(engine) == stored


def test_figures_of_one_kind_are_those_of_the_event(engine, store):
    data = json.loads((GOLDEN / "queue.json").read_text())["data"]

    store.write([golden("queue")])

    zone = min(data["zones"], key=lambda zone: zone["zone"])
    query = (
        "SELECT zone, people_ms, joined, served, wait_max_ms, waits_0, waits_7, length_ms_1,"
        " model_digest FROM rollup_queue WHERE bucket_s = 60 ORDER BY zone LIMIT 1"
    )
    waits, lengths = zone["wait_histogram"], zone["length_histogram_s"]
    assert ask(engine, query) == [
        (
            *(zone["zone"], round(zone["people_s"] * 1000), zone["joined"], zone["served"]),
            *(round(zone["wait_max_s"] * 1000), waits[0], waits[7], round(lengths[1] * 1000)),
            data["model_digest"],
        )
    ]


def test_an_inspection_is_summed_by_station_and_by_defect_and_doubt(engine, store):
    store.write([golden("inspection")])

    verdicts = (
        "SELECT station, passed, failed, reviewed, missed, escapes, false_rejects, confirmed,"
        " alerted_ms, stopped_ms, latency_1, latency_2, latency_8"
        " FROM rollup_inspection WHERE bucket_s = 3600"
    )
    assert ask(engine, verdicts) == [("press-2", 195, 4, 1, 1, 0, 1, 3, 60_000, 0, 20, 170, 0)]
    names = "SELECT sort, name, parts, places FROM rollup_defect WHERE bucket_s = 60 ORDER BY sort"
    assert ask(engine, names) == [("defect", "short", 4, 5), ("doubt", "turned", 1, 0)]


def test_inspections_from_before_their_sums_are_summed_at_the_next_start(engine, store):
    store.write([golden("inspection"), golden("traffic")])
    expected = rollups(engine)
    with engine.begin() as connection:
        for statement in (
            "DROP TABLE rollup_inspection",
            "DROP TABLE rollup_defect",
            "DROP TABLE rollup_audit",
            "DROP TABLE rollup_feedback",
            "DROP TABLE rollup_sensor",
            "DROP TABLE rollup_figure",
            "UPDATE alembic_version SET version_num = '0002'",
        ):
            connection.execute(text(statement))

    SqlStore(engine).prepare()

    assert rollups(engine) == expected
    assert ask(engine, "SELECT name FROM maintenance") == []


@pytest.mark.parametrize("seed", range(3))
def test_sums_are_the_same_in_any_order_with_duplicates_and_made_again(seed, engine, store):
    device, chance = FakeDevice(), random.Random(seed)
    events = some_events(device, 120, seed)
    sent = events + chance.choices(events, k=60)
    chance.shuffle(sent)

    while sent:
        size = chance.randrange(1, 40)
        store.write(sent[:size])
        del sent[:size]

    kept = rollups(engine)
    crossings = [line.crossings_in for e in events for line in e.event.data.lines]
    sums = ask(engine, "SELECT bucket_s, sum(crossings_in) FROM rollup_traffic GROUP BY bucket_s")
    assert {int(total) for _, total in sums} == {sum(crossings)}
    assert SqlHistory(engine).reaggregate() == len({e // DAY_S for e in began(engine)})
    assert rollups(engine) == kept


def began(engine) -> list[int]:
    return [row[0] for row in ask(engine, "SELECT began_at FROM events")]


def test_a_late_event_lands_in_the_bucket_of_its_window(engine, store):
    device = FakeDevice()
    store.write([judged(device, device.traffic(2, window_start=EPOCH + timedelta(days=2)))])

    store.write([judged(device, device.traffic(1, window_start=EPOCH - timedelta(days=9)))])

    days = ask(engine, "SELECT bucket_start FROM rollup_traffic WHERE bucket_s = 86400")
    midnight = EPOCH_S - EPOCH_S % DAY_S
    assert sorted(days) == [(midnight - 9 * DAY_S,), (midnight + 2 * DAY_S,)]


def test_wrong_sums_are_mended_by_making_them_again(engine, store, database_url):
    store.write(some_events(FakeDevice(), 20, 1))
    right = rollups(engine)
    with engine.begin() as connection:
        connection.execute(text("UPDATE rollup_traffic SET crossings_in = 77"))

    command = [sys.executable, "-m", "shopfloor_ingest.app", "reaggregate"]
    done = subprocess.run(
        [*command, "--database", database_url],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    assert (done.returncode, rollups(engine)) == (0, right)
    assert "days" in done.stdout


def test_sums_are_made_again_while_replicas_write(engine, store, database_url):
    store.write(some_events(FakeDevice(device="before"), 100, 5))
    stop, writing = threading.Event(), [threading.Event() for _ in range(2)]

    def write(number):
        replica = open_engine(database_url, busy_timeout_ms=20_000)
        events = some_events(FakeDevice(device=f"during-{number}"), 2000, number)
        for one in events:
            if stop.is_set():
                break
            SqlStore(replica).write([one, golden("heat")])
            writing[number].set()
        replica.dispose()

    threads = [threading.Thread(target=write, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    assert all(event.wait(20) for event in writing)
    patient = open_engine(database_url, busy_timeout_ms=20_000)
    days = [SqlHistory(patient).reaggregate() for _ in range(4)]
    stop.set()
    for thread in threads:
        thread.join()
    patient.dispose()

    kept = rollups(engine)
    assert min(days) >= 3
    assert ask(engine, "SELECT sum(windows) FROM rollup_traffic WHERE bucket_s = 3600") == ask(
        engine, "SELECT count(*) FROM events WHERE kind = 'traffic'"
    )
    SqlHistory(engine).reaggregate()
    assert rollups(engine) == kept


def test_sums_stay_while_raw_events_are_forgotten_under_the_making(engine, store, database_url):
    for day in range(30):
        device = FakeDevice(device=f"d-{day}")
        start = EPOCH + timedelta(days=day)
        store.write([judged(device, device.traffic(s, window_start=start)) for s in range(1, 9)])
    kept, patient = rollups(engine), open_engine(database_url, busy_timeout_ms=20_000)
    retention = SqlHistory(patient)
    done = threading.Event()

    def forget():
        for day in range(30):
            while retention.forget_events(EPOCH_S + day * DAY_S, 3) and not done.is_set():
                pass

    thread = threading.Thread(target=forget)
    thread.start()
    while thread.is_alive():
        SqlHistory(patient).reaggregate()
    done.set()
    thread.join()
    patient.dispose()

    assert rollups(engine) == kept


def test_raw_events_go_in_small_steps_and_their_sums_stay(engine, store):
    store.write(some_events(FakeDevice(), 50, 2))
    kept, history = rollups(engine), SqlHistory(engine)
    before = EPOCH_S + 4 * DAY_S

    steps = [history.forget_events(before, 20) for _ in range(4)]

    assert steps == [20, 20, 10, 0]
    assert rollups(engine) == kept
    assert history.reaggregate() == 0
    assert rollups(engine) == kept


def test_an_event_that_was_forgotten_is_not_counted_again(engine, store):
    device = FakeDevice()
    passed, ahead = judged(device, device.traffic(1)), judged(device, device.traffic(9))
    store.write([passed, ahead])
    kept = rollups(engine)
    assert SqlHistory(engine).forget_events(EPOCH_S + DAY_S, 100) == 2

    outcome = store.write([passed, ahead])

    assert (outcome.duplicates, outcome.stored) == (2, {})
    assert rollups(engine) == kept
    new = store.write([judged(device, device.traffic(2))])
    assert new.stored == {"traffic": 1}


def test_minutes_are_forgotten_by_the_hour_and_hours_stay(engine, store):
    store.write(some_events(FakeDevice(), 30, 3))
    history, before = SqlHistory(engine), EPOCH_S + 2 * DAY_S

    while history.forget_minutes(before):
        pass

    (oldest,) = ask(engine, "SELECT min(bucket_start) FROM rollup_traffic WHERE bucket_s = 60")
    assert oldest[0] >= before
    hours = "SELECT min(bucket_start) FROM rollup_traffic WHERE bucket_s = 3600"
    assert ask(engine, hours)[0][0] < before


@only_sqlite
def test_the_roll_ups_are_not_written_when_the_batch_fails(engine, store):
    with engine.begin() as connection:
        connection.execute(text("DROP TABLE watermarks"))
    device = FakeDevice()

    with pytest.raises(Exception, match="watermarks"):
        store.write([judged(device, device.traffic(1))])

    assert not any(rollups(engine).values())
    assert ask(engine, "SELECT count(*) FROM events") == [(0,)]


def test_replicas_that_write_one_device_at_once_lose_no_sum(database_url, store):
    device = FakeDevice()
    events = [judged(device, device.traffic(seq, window_start=EPOCH)) for seq in range(1, 201)]
    heat = golden("heat")

    def write(part):
        engine = open_engine(database_url, busy_timeout_ms=20_000)
        for one in part:
            SqlStore(engine).write([one, heat])
        engine.dispose()

    threads = [threading.Thread(target=write, args=(events[i::3],)) for i in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    engine = open_engine(database_url)
    day = "SELECT crossings_in, windows FROM rollup_traffic WHERE bucket_s = 86400"
    assert ask(engine, day) == [(200, 200)]
    engine.dispose()
