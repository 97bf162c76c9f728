"""The scripts that containers run against their database, on a real PostgreSQL."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import psycopg
import pytest

from fakes import postgresql
from shopfloor_ingest.adapters.store import SqlStore
from shopfloor_kit.database import open_engine
from shopfloor_stack import compose
from shopfloor_stack.postgresql import READER, SERVICES
from shopfloor_stack.settings import DEFAULT_PORTS, Settings

SCRIPTS = compose.CLOUD / "postgresql"

pytestmark = [
    pytest.mark.skipif(not postgresql.BINARIES, reason=postgresql.ABSENT),
    pytest.mark.timeout(90),
]


@pytest.fixture
def cluster():
    cluster = postgresql.Cluster()
    yield cluster
    cluster.stop()


@pytest.fixture
def secrets(tmp_path) -> Path:
    settings = Settings(tmp_path / "cloud", dict(DEFAULT_PORTS), "http://127.0.0.1:9095")
    return compose.prepare(settings).parent / "secrets"


def run(cluster, script: str, **environment: str) -> None:
    where = {"PGHOST": "127.0.0.1", "PGPORT": str(cluster.port)}
    done = subprocess.run(
        ["sh"],
        input=script,
        env={**os.environ, **where, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def make_databases(cluster, secrets: Path) -> None:
    script = (SCRIPTS / "init-database.sh").read_text()
    run(cluster, script.replace("/run/secrets", str(secrets)), POSTGRES_USER="shopfloor")


def databases(cluster) -> set[str]:
    with psycopg.connect(cluster.url("postgres")) as owner:
        found = owner.execute("SELECT datname, pg_get_userbyid(datdba) FROM pg_database")
        return {name for name, keeper in found if name == keeper}


def test_every_service_gets_a_database_and_a_later_run_adds_what_is_missing(cluster, secrets):
    make_databases(cluster, secrets)
    with psycopg.connect(cluster.url("postgres"), autocommit=True) as owner:
        owner.execute("DROP DATABASE campaigns")
        owner.execute("DROP ROLE campaigns")
    before = databases(cluster)

    make_databases(cluster, secrets)

    assert before == {"ingest", "registry"}
    assert databases(cluster) == set(SERVICES)


def test_the_reader_gets_its_rights_and_its_password(cluster, secrets, tmp_path):
    make_databases(cluster, secrets)
    engine = open_engine(cluster.url("ingest").replace("shopfloor@", "ingest@"))
    SqlStore(engine).prepare()
    engine.dispose()
    script = (SCRIPTS / "init-reader.sh").read_text()
    changed = {
        "/run/secrets": str(secrets),
        "/etc/shopfloor/reader.sql": str(SCRIPTS / "reader.sql"),
        "/tmp/done": str(tmp_path / "done"),
        "exec sleep infinity": "exit 0",
    }
    for old, new in changed.items():
        assert old in script
        script = script.replace(old, new)

    for _ in range(2):
        run(cluster, script, PGUSER="shopfloor", PGDATABASE="ingest")

    with psycopg.connect(cluster.url("ingest").replace("shopfloor@", f"{READER}@")) as reader:
        assert reader.execute("SELECT count(*) FROM events").fetchone() == (0,)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            reader.execute("SELECT * FROM dead_letters")
    with psycopg.connect(cluster.url("postgres")) as owner:
        found = owner.execute("SELECT rolpassword FROM pg_authid WHERE rolname = %s", [READER])
        assert str(found.fetchone()[0]).startswith("SCRAM-SHA-256$")
    assert (tmp_path / "done").exists()
