"""A PostgreSQL of our own: its data folder, and an account and a database for each service."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from shopfloor_stack.errors import OperatorError, StackError
from shopfloor_stack.layout import Layout, write_private
from shopfloor_stack.programs import find, postgresql_versions

ADMIN = "shopfloor"
SERVICES = ("ingest", "registry", "campaigns")
"""Each has an account and a database of its name, and sees no other's."""

READER = "shopfloor_reader"
"""Whom dashboards ask ingest's database as; ``cloud/postgresql/reader.sql`` makes it."""

_ACCOUNT = "postgres"
_WHO = ("setpriv", f"--reuid={_ACCOUNT}", f"--regid={_ACCOUNT}", "--init-groups")


class Database:
    """One server; nothing runs until its command is started."""

    def __init__(self, layout: Layout, port: int) -> None:
        self._layout, self._port = layout, port
        self._folder = layout.data / "database"
        self.account = _ACCOUNT if os.geteuid() == 0 else None
        """Whom the server runs as; PostgreSQL refuses root."""

    @property
    def _data(self) -> Path:
        return self._folder / "cluster"

    def prepare(self) -> None:
        """Create the data folder if there is none; refuses one that it cannot use.

        Raises:
            OperatorError: no installed PostgreSQL fits the data, or its account may not come here.
        """
        self._folder.mkdir(mode=0o700, exist_ok=True)
        if self.account is not None:
            shutil.chown(self._folder, _ACCOUNT, _ACCOUNT)
            self._check_reach()
        if not (self._data / "PG_VERSION").exists():
            self._create()

    def command(self) -> list[str]:
        """Return the server's command line."""
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": self._port,
            "unix_socket_directories": "",
            "log_min_messages": "warning",
            "shared_buffers": "128MB",
        }
        flags = [f"-c{key}={value}" for key, value in settings.items()]
        return [str(self._programs() / "postgres"), "-D", str(self._data), *flags]

    def url(self, service: str) -> str:
        """Return what a service opens; the password is in a file of its own."""
        path = passfile(self._layout, service, f"127.0.0.1:{self._port}")
        return f"postgresql://{service}@127.0.0.1:{self._port}/{service}?passfile={path}"

    def admit_services(self) -> None:
        """Create every service's account and database that is not there yet.

        Raises:
            StackError: the server refuses it.
        """
        for service in SERVICES:
            word = self._layout.secret(f"database-{service}").read_text()
            self._ask(admit(service, word))

    def admit_reader(self, rights: str) -> None:
        """Let dashboards read ingest's tables, which are there; ``rights`` is ``reader.sql``.

        Raises:
            StackError: the server refuses it.
        """
        passfile(self._layout, READER, f"127.0.0.1:{self._port}")
        word = self._layout.secret(f"database-{READER}").read_text()
        self._ask(f"{rights}\nALTER ROLE {READER} PASSWORD '{word}';\n", "ingest")

    def _ask(self, statements: str, database: str = "postgres") -> None:
        where = ["-h", "127.0.0.1", "-p", str(self._port), "-U", ADMIN, "-d", database]
        # Statements come in by a pipe: a command line is everybody's to read.
        argv = [str(find("psql")), "-q", "-X", "-v", "ON_ERROR_STOP=1", *where]
        path = passfile(self._layout, ADMIN, f"127.0.0.1:{self._port}")
        environment = {**os.environ, "PGPASSFILE": str(path)}
        done = subprocess.run(
            argv, input=statements, env=environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise StackError(
                f"database: {(done.stderr.strip() or 'no reason given').splitlines()[0]}"
            )

    def _programs(self) -> Path:
        versions = postgresql_versions()
        stamp = self._data / "PG_VERSION"
        made_by = int(stamp.read_text()) if stamp.exists() else max(versions)
        if made_by not in versions:
            raise OperatorError(
                f"{self._data} is of PostgreSQL {made_by}, installed is "
                f"{', '.join(map(str, sorted(versions)))}: apt-get install postgresql-{made_by}"
            )
        return versions[made_by]

    def _create(self) -> None:
        word = self._folder / "word"
        write_private(word, self._layout.secret("database-admin").read_text())
        try:
            if self.account is not None:
                shutil.chown(word, _ACCOUNT)
            shutil.rmtree(self._data, ignore_errors=True)
            argv = [str(self._programs() / "initdb"), "-D", str(self._data), "-U", ADMIN]
            argv += ["-A", "scram-sha-256", f"--pwfile={word}", "-E", "UTF8", "--locale=C.UTF-8"]
            done = self._run(argv)
        finally:
            word.unlink()
        if done.returncode:
            raise StackError(
                f"initdb: {(done.stderr.strip() or 'no reason given').splitlines()[-1]}"
            )

    def _check_reach(self) -> None:
        if self._run(["test", "-w", str(self._folder)]).returncode:
            raise OperatorError(
                f"PostgreSQL refuses to run as root, and its account {_ACCOUNT!r} "
                f"may not enter {self._folder}: set SHOPFLOOR_CLOUD=/var/lib/shopfloor"
            )

    def _run(self, argv: list[str]) -> subprocess.CompletedProcess[str]:
        who = _WHO if self.account is not None else ()
        return subprocess.run([*who, *argv], capture_output=True, text=True, check=False, cwd="/")


def admit(service: str, word: str) -> str:
    """Return psql's statements that give ``service`` an account and a database; harmless twice."""
    # Both are ours, of letters, digits, - and _ alone.
    return f"""\
SELECT 'CREATE ROLE {service} LOGIN' WHERE NOT EXISTS
  (SELECT FROM pg_roles WHERE rolname = '{service}') \\gexec
ALTER ROLE {service} PASSWORD '{word}';
SELECT 'CREATE DATABASE {service} OWNER {service}' WHERE NOT EXISTS
  (SELECT FROM pg_database WHERE datname = '{service}') \\gexec
REVOKE ALL ON DATABASE {service} FROM PUBLIC;
"""  # noqa: S608


def passfile(layout: Layout, account: str, address: str) -> Path:
    """Write the password of ``account`` as libpq reads it; returns the file."""
    secret = "database-admin" if account == ADMIN else f"database-{account}"
    path = layout.secrets / f"{account}.pgpass"
    write_private(path, f"{address}:*:{account}:{layout.secret(secret).read_text()}\n")
    return path
