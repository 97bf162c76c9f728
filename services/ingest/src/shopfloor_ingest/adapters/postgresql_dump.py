"""PostgreSQL into a file and back, by its own programs.

They are given host, user and password in their environment, never on a command line, which is
everybody's to read.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from sqlalchemy import URL, Connection, Engine, func, inspect, select, text

from shopfloor_ingest.adapters.schema import LOCK, OURS, Dumped, current_revision
from shopfloor_ingest.adapters.tables import EVENTS
from shopfloor_ingest.errors import BackupError

PACKAGE = "apt-get install postgresql-client"
PROGRAMS = Path("/usr/lib/postgresql")
_PIECE = 1 << 16
_OF_LIBPQ = {
    "host": "PGHOST",
    "port": "PGPORT",
    "service": "PGSERVICE",
    "passfile": "PGPASSFILE",
    "sslmode": "PGSSLMODE",
    "sslrootcert": "PGSSLROOTCERT",
    "sslcert": "PGSSLCERT",
    "sslkey": "PGSSLKEY",
    "target_session_attrs": "PGTARGETSESSIONATTRS",
}


class PostgresqlDump:
    """Implements the ``Dump`` port with ``pg_dump``, ``pg_restore`` and ``psql``."""

    def __init__(self, engine: Engine, *, programs: Path = PROGRAMS) -> None:
        self._engine, self._programs = engine, programs

    def dump(self, to: Path) -> Dumped:
        """Write one instant of the database into the empty file ``to``."""
        pg_dump = self._program("pg_dump")
        isolated = self._engine.execution_options(isolation_level="REPEATABLE READ")
        with isolated.connect() as connection:
            version = current_revision(connection)
            if version is None:
                raise BackupError("the database holds no event store")
            events = connection.execute(select(func.count()).select_from(EVENTS)).scalar_one()
            # So that version and number are those of the dump, whatever is written meanwhile.
            snapshot = connection.execute(text("SELECT pg_export_snapshot()")).scalar_one()
            argv = [pg_dump, "--format=custom", "--no-owner", "--no-privileges", "--no-password"]
            argv += [f"--snapshot={snapshot}", *(f"--table={name}" for name in sorted(OURS))]
            with to.open("wb") as file, self._running(argv, stdout=file) as (dumping, said):
                _ended(dumping, said)
        return Dumped("postgresql", version, events)

    def load(self, source: Path, size_bytes: int) -> None:
        """Drop and restore in one transaction; replicas of ingest wait for its end."""
        del size_bytes  # a dump of the custom format knows its own end
        restore = [self._program("pg_restore"), "--no-owner", "--no-privileges", "--file=-"]
        execute = [self._program("psql"), "--no-psqlrc", "--no-password", "--quiet"]
        execute += ["--set=ON_ERROR_STOP=1", "--output=/dev/null"]
        with self._engine.connect() as connection:
            clearing = _clearing(connection)
        # Without a database pg_restore writes SQL, and psql runs it. We end the transaction, and
        # only when pg_restore has come to its end: this makes it all or nothing.
        with (
            self._running([*restore, str(source)]) as (reading, read_said),
            self._running(execute, stdin=subprocess.PIPE) as (running, run_said),
        ):
            with suppress(BrokenPipeError), _open_end(running.stdin) as sink:
                sink.write(clearing)
                shutil.copyfileobj(_open_end(reading.stdout), sink, _PIECE)
                _ended(reading, read_said)
                sink.write(b"\nCOMMIT;\n")
            _ended(running, run_said)

    def _program(self, name: str) -> str:
        """Return the newest one here: an older ``pg_dump`` refuses a newer server."""
        versions = self._programs.glob(f"*/bin/{name}")
        newest = max(versions, key=lambda path: int(path.parts[-3]), default=None)
        found = shutil.which(name) if newest is None else str(newest)
        if found is None:
            raise BackupError(f"{name} is not installed: {PACKAGE}")
        return found

    @contextmanager
    def _running(
        self, argv: Sequence[str], *, stdin: int = subprocess.DEVNULL, stdout: IO[bytes] | int = -1
    ) -> Iterator[tuple[subprocess.Popen[bytes], IO[bytes]]]:
        """Give a program and the file of its complaints; it does not outlive the block."""
        environment = _environment(self._engine.url)
        with tempfile.TemporaryFile() as said:
            process = subprocess.Popen(
                argv, stdin=stdin, stdout=stdout, stderr=said, env=environment
            )
            try:
                yield process, said
            finally:
                process.kill()
                process.wait()
                if process.stdout is not None:
                    process.stdout.close()


def _open_end(end: IO[bytes] | None) -> IO[bytes]:
    if end is None:
        raise ValueError("not a pipe")
    return end


def _ended(process: subprocess.Popen[bytes], said: IO[bytes]) -> None:
    """Wait for the end of ``process``; raise what it has said if that is no good one."""
    status = process.wait()
    if status == 0:
        return
    said.seek(0)
    lines = [line for line in said.read().decode(errors="replace").splitlines() if line.strip()]
    name = Path(str(process.args[0])).name  # type: ignore[index]
    raise BackupError(lines[0] if lines else f"{name} ended with {status}")


def _environment(url: URL) -> dict[str, str]:
    given = {
        "PGHOST": url.host,
        "PGPORT": None if url.port is None else str(url.port),
        "PGUSER": url.username,
        "PGPASSWORD": None if url.password is None else str(url.password),
        "PGDATABASE": url.database,
    }
    for name, value in url.query.items():
        if name not in _OF_LIBPQ or not isinstance(value, str):
            known = ", ".join(_OF_LIBPQ)
            raise BackupError(f"database has ?{name}=, pg_dump can be given {known}")
        given[_OF_LIBPQ[name]] = value
    return {**os.environ, **{name: value for name, value in given.items() if value}}


def _clearing(connection: Connection) -> bytes:
    """Return the beginning of the transaction: hold off every writer, drop what is ours."""
    found = inspect(connection)
    drops = [f"DROP VIEW {name};" for name in found.get_view_names() if name in OURS]
    drops += [f"DROP TABLE {name};" for name in found.get_table_names() if name in OURS]
    return "\n".join(["BEGIN;", f"SELECT pg_advisory_xact_lock({LOCK});", *drops, ""]).encode()
