"""Backups of real databases of both kinds, and what is no backup; and the list of devices."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import make_url, select, text

from component.shopfloor_ingest.conftest import only_sqlite
from fakes.ingest_events import EPOCH, FakeDevice
from shopfloor_contracts.events import encode
from shopfloor_ingest.adapters.backup import back_up, restore
from shopfloor_ingest.adapters.postgresql_dump import PostgresqlDump
from shopfloor_ingest.adapters.store import SqlStore
from shopfloor_ingest.adapters.tables import METADATA
from shopfloor_ingest.domain.messages import Message, judge
from shopfloor_ingest.errors import BackupError
from shopfloor_kit.database import open_engine

pytestmark = pytest.mark.timeout(120)
NOW = datetime(2026, 3, 2, tzinfo=UTC)
SECRET = "hunter2-and-more"


class Kept:
    """One database with a store in it."""

    def __init__(self, url):
        self.url, self.engine = url, open_engine(url)
        self.store, self.device = SqlStore(self.engine), FakeDevice()

    def tell(self, *sequences):
        for seq in sequences:
            self.say(self.device.traffic(seq), "traffic")

    def say(self, event, kind):
        return self.store.write([judge(Message(self.device.topic(kind), encode(event), EPOCH))])

    def content(self):
        with self.engine.connect() as connection:
            return {
                name: sorted(tuple(row) for row in connection.execute(select(table)))
                for name, table in METADATA.tables.items()
            }

    def run(self, *arguments, **options):
        return run(*arguments, "--database", self.url, **options)


def run(*arguments, **options):
    return subprocess.run(
        [sys.executable, "-m", "shopfloor_ingest.app", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        **options,
    )


@pytest.fixture
def kept(database_url):
    kept = Kept(database_url)
    kept.store.prepare()
    yield kept
    kept.engine.dispose()


@pytest.fixture
def other(kept, tmp_path, request):
    """A second, empty database of the same kind."""
    if kept.engine.dialect.name == "sqlite":
        other = Kept(f"sqlite:///{tmp_path}/other.db")
    else:
        other = Kept(request.getfixturevalue("cluster").make_database())
    yield other
    other.engine.dispose()


@pytest.fixture
def file(kept, tmp_path):
    """A backup of three events and a device."""
    kept.say(kept.device.birth(), "birth")
    kept.tell(1, 2, 3)
    file = tmp_path / "backup"
    back_up(kept.engine, file, now=NOW)
    return file


def test_what_was_backed_up_is_restored_by_command_into_an_empty_database(kept, other, tmp_path):
    kept.say(kept.device.birth(), "birth")
    kept.tell(1, 2, 3)
    file = tmp_path / "backup"

    made = kept.run("backup", "--to", str(file))
    done = other.run("restore", "--from", str(file))

    assert (made.returncode, done.returncode) == (0, 0), made.stderr + done.stderr
    assert made.stdout.startswith("4 events, schema 0005, ")
    assert "restored from" in done.stdout
    assert other.content() == kept.content()
    assert file.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir() if "partial" in path.name] == []


def test_a_restored_store_goes_on_where_it_was(kept, other, file):
    restore(other.engine, file, force=False)
    other.store.prepare()
    other.device = kept.device

    again = other.say(kept.device.traffic(3), "traffic")
    new = other.say(kept.device.traffic(4), "traffic")
    malformed = other.store.write([judge(Message(kept.device.topic("traffic"), b"{", EPOCH))])

    assert (again.duplicates, new.stored, new.acks[0].ack.up_to) == (1, {"traffic": 1}, 4)
    assert malformed.rejected.total() == 1


def test_a_backup_is_of_one_instant_while_ingest_writes(kept, other, tmp_path):
    stop, written = threading.Event(), threading.Event()

    def write():
        writer = Kept(kept.url)
        for seq in range(1, 5000):
            writer.tell(seq)
            written.set()
            if stop.is_set():
                break
        writer.engine.dispose()

    thread = threading.Thread(target=write)
    thread.start()
    assert written.wait(10)
    seals = [back_up(kept.engine, tmp_path / f"backup-{number}", now=NOW) for number in range(3)]
    stop.set()
    thread.join()

    for number, seal in enumerate(seals):
        restore(other.engine, tmp_path / f"backup-{number}", force=True)
        with other.engine.connect() as connection:
            found = connection.execute(
                text(
                    "SELECT (SELECT count(*) FROM events), (SELECT max(up_to) FROM watermarks),"
                    " (SELECT sum(windows) FROM rollup_traffic WHERE bucket_s = 60)"
                )
            ).one()
        assert {int(value) for value in found} == {seal.events}
    assert seals[0].events < seals[2].events


def test_a_database_that_holds_something_is_replaced_only_by_force(kept, file):
    before = kept.content()
    kept.tell(4)
    later = kept.content()

    refused = kept.run("restore", "--from", str(file))

    assert refused.returncode == 2
    assert "not empty, --force replaces what it holds" in refused.stderr
    assert kept.content() == later
    assert kept.run("restore", "--from", str(file), "--force").returncode == 0
    assert kept.content() == before


def damage(file, how):
    whole = bytearray(file.read_bytes())
    if how == "truncated":
        whole = whole[: len(whole) // 2]
    elif how == "short of a byte":
        whole = whole[:-1]
    elif how == "flipped in the dump":
        whole[len(whole) // 3] ^= 1
    elif how == "flipped in the seal":
        at = whole.index(b'"events":4') + len(b'"events":')
        whole[at] ^= 1
    elif how == "flipped in the filling":
        whole[-2] ^= 1
    elif how == "empty":
        whole = bytearray()
    file.write_bytes(whole)


@pytest.mark.parametrize(
    "how",
    [
        "truncated",
        "short of a byte",
        "flipped in the dump",
        "flipped in the seal",
        "flipped in the filling",
        "empty",
    ],
)
def test_a_damaged_backup_is_refused_and_nothing_is_touched(how, kept, file):
    before = kept.content()
    damage(file, how)

    with pytest.raises(BackupError, match="seal"):
        restore(kept.engine, file, force=True)

    assert kept.content() == before


def test_a_backup_of_a_newer_schema_is_refused(kept, other, tmp_path):
    with kept.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0999'"))
    back_up(kept.engine, tmp_path / "newer", now=NOW)

    with pytest.raises(BackupError, match="schema is 0999, this version knows up to 0005"):
        restore(other.engine, tmp_path / "newer", force=True)


def test_an_older_backup_is_brought_up_to_date(kept, other, file):
    with kept.engine.begin() as connection:
        # As the first version left it: no sums, and traffic is a table, not a view.
        for view in ("traffic", "occupancy"):
            connection.execute(text(f"DROP VIEW {view}"))
        for name in (*(n for n in METADATA.tables if n.startswith("rollup_")), "maintenance"):
            connection.execute(text(f"DROP TABLE {name}"))
        connection.execute(text("DROP INDEX events_began_at"))
        connection.execute(text("ALTER TABLE events DROP COLUMN began_at"))
        for name in ("traffic", "occupancy"):
            connection.execute(text(f"CREATE TABLE {name} (event_id INTEGER)"))
        connection.execute(text("UPDATE alembic_version SET version_num = '0001'"))
    back_up(kept.engine, file, now=NOW)
    other.store.prepare()
    other.tell(9)

    done = other.run("restore", "--from", str(file), "--force")

    assert done.returncode == 0, done.stderr
    with other.engine.connect() as connection:
        sums = "SELECT sum(windows) FROM rollup_traffic WHERE bucket_s = 86400"
        assert connection.execute(text(sums)).scalar_one() == 3


def test_a_backup_of_the_other_kind_of_database_is_refused(kept, file, tmp_path):
    url = "postgresql://a@127.0.0.1:1/x" if kept.url.startswith("sqlite") else "sqlite:////tmp/x"

    with pytest.raises(BackupError, match="the database is"):
        restore(open_engine(url), file, force=True)


def test_a_database_without_a_store_is_not_backed_up(other, kept, tmp_path):
    with other.engine.begin() as connection:
        connection.execute(text("CREATE TABLE elsewhere (a INTEGER)"))

    done = other.run("backup", "--to", str(tmp_path / "backup"))

    assert done.returncode == 2
    assert "holds no event store" in done.stderr
    assert not (tmp_path / "backup").exists()


def test_a_full_disk_leaves_the_older_backup_as_it_was(kept, file):
    before = file.read_bytes()

    # Every write beyond 10 kB of a file is refused, as on a full disk.
    done = kept.run(
        "backup",
        "--to",
        str(file),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000)),
    )

    assert done.returncode == 2, done.stderr
    assert len([line for line in done.stderr.splitlines() if not line.startswith("{")]) == 1
    assert file.read_bytes() == before
    assert [path for path in file.parent.iterdir() if "partial" in path.name] == []


def test_a_running_ingest_sees_the_restored_store(kept, file):
    before = kept.content()
    kept.tell(4)
    with kept.engine.connect() as connection:
        connection.execute(text("SELECT 1"))

    assert kept.run("restore", "--from", str(file), "--force").returncode == 0

    assert kept.content() == before
    assert kept.say(kept.device.traffic(4), "traffic").stored == {"traffic": 1}


@only_sqlite
def test_a_database_file_that_is_absent_is_not_made(tmp_path, database_url):
    done = run("backup", "--to", str(tmp_path / "b"), "--database", database_url)

    assert done.returncode == 2
    assert "does not exist" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_without_pg_dump_the_package_is_named(cluster, tmp_path, monkeypatch):
    kept = Kept(cluster.make_database())
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(BackupError, match="pg_dump is not installed: apt-get install postgresql-c"):
        PostgresqlDump(kept.engine, programs=tmp_path).dump(tmp_path / "backup")

    kept.engine.dispose()


def test_a_password_is_on_no_command_line_and_in_no_word(cluster, tmp_path):
    url = make_url(cluster.make_database()).set(password=SECRET)
    kept = Kept(url.render_as_string(hide_password=False))
    kept.store.prepare()
    seen, stop = [], threading.Event()

    def watch():
        while not stop.is_set():
            ps = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=False)
            seen.append(ps.stdout)

    watcher = threading.Thread(target=watch)
    watcher.start()
    environment = {**os.environ, "SHOPFLOOR_INGEST_DATABASE": kept.url}
    commands = (("backup", "--to"), ("restore", "--force", "--from"))
    done = [run(*command, str(tmp_path / "b"), env=environment) for command in commands]
    stop.set()
    watcher.join()
    kept.engine.dispose()

    assert [one.returncode for one in done] == [0, 0]
    assert any("pg_dump" in found for found in seen)
    assert not any(SECRET in found for found in seen)
    assert not any(SECRET in one.stdout + one.stderr for one in done)


def test_a_server_that_dies_in_mid_restore_leaves_what_was_there(cluster, tmp_path):
    kept = Kept(cluster.make_database())
    kept.store.prepare()
    kept.tell(1, 2)
    file = tmp_path / "half"
    PostgresqlDump(kept.engine).dump(file)
    before = kept.content()
    # pg_restore finds out after it has said much of it: psql has run that already.
    file.write_bytes(file.read_bytes()[:-200])

    with pytest.raises(BackupError):
        PostgresqlDump(kept.engine).load(file, 0)

    assert kept.content() == before
    kept.engine.dispose()


def test_a_removed_device_is_not_listed_and_its_history_stays(kept):
    kept.say(kept.device.birth(time=EPOCH), "birth")
    kept.tell(1)
    listed = json.loads(kept.run("devices", "list", "--json").stdout)

    done = kept.run("devices", "remove", "oslo", "door", "--json")

    assert [(d["site"], d["device"], d["state"]) for d in listed] == [("oslo", "door", "late")]
    assert json.loads(done.stdout)["device"] == "door"
    assert json.loads(kept.run("devices", "list", "--json").stdout) == []
    assert len(kept.content()["events"]) == 2
    assert kept.say(kept.device.traffic(1), "traffic").duplicates == 1


def test_a_device_that_is_unknown_or_online_is_not_removed(kept):
    now = datetime.now(UTC) - timedelta(seconds=5)
    birth = kept.device.birth(time=now)
    kept.store.write([judge(Message(kept.device.topic("birth"), encode(birth), now))])

    online = kept.run("devices", "remove", "oslo", "door")
    unknown = kept.run("devices", "remove", "oslo", "dor")

    assert (online.returncode, unknown.returncode) == (2, 2)
    assert "is online, turn it off first" in online.stderr
    assert "no device 'dor' of site 'oslo' is listed" in unknown.stderr
    assert "oslo/door" in kept.run("devices", "list", "oslo").stdout
