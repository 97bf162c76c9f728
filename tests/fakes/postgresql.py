"""A PostgreSQL of our own: on a free loopback port, with its data in a temporary folder."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError

BINARIES = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
ABSENT = "wants PostgreSQL: apt-get install postgresql-15"


class Cluster:
    """One server; ``make_database`` gives each test an empty database."""

    def __init__(self, **settings: str) -> None:
        self._programs = BINARIES[-1].parent
        # Its own folder under /tmp: the account of the server may not enter pytest's.
        self._folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))
        self._number = 0
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.port = listener.getsockname()[1]
        self._data = self._folder / "data"
        if os.geteuid() == 0:
            shutil.chown(self._folder, "postgres")
        self._run("initdb", "-A", "trust", "-U", "shopfloor", "-E", "UTF8", "--locale=C.UTF-8")
        self._settings = {"fsync": "off", "listen_addresses": "127.0.0.1"} | settings
        self._server: subprocess.Popen[bytes] | None = None
        self.start()

    def url(self, database: str) -> str:
        return f"postgresql://shopfloor@127.0.0.1:{self.port}/{database}"

    @property
    def pid(self) -> int:
        """Process id of the server, whose children serve the connections."""
        assert self._server is not None
        return self._server.pid

    def make_database(self) -> str:
        """Return the URL of a new, empty database."""
        self._number += 1
        name = f"test_{self._number}"
        engine = self._admin()
        with engine.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name}"))
        engine.dispose()
        return self.url(name)

    def start(self) -> None:
        """Start it; what a killed one has left is recovered before this returns."""
        self._launch()
        self._wait()

    def _launch(self) -> None:
        flags = [f"-c{key}={value}" for key, value in self._settings.items()]
        command = [*_as_postgres(), self._programs / "postgres", "-D", self._data]
        with (self._folder / "log").open("ab") as log:
            self._server = subprocess.Popen(
                [*command, f"-p{self.port}", f"-k{self._folder}", *flags],
                stdout=log,
                stderr=log,
                cwd="/",
            )

    def kill(self) -> None:
        """End it at once, as a crash would."""
        self._end(signal.SIGQUIT)

    def kill9(self) -> None:
        """End the postmaster with SIGKILL: nobody closes anything; its children notice and go."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End it and remove its data."""
        # A clean end would first write everything that is then removed.
        self._end(signal.SIGQUIT)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _end(self, number: int) -> None:
        if self._server is not None:
            self._server.send_signal(number)
            self._server.wait(20)
            self._server = None

    def _admin(self):
        url = self.url("postgres").replace("postgresql:", "postgresql+psycopg:")
        return create_engine(url, isolation_level="AUTOCOMMIT")

    def _wait(self) -> None:
        engine, deadline = self._admin(), time.monotonic() + 20
        while True:
            try:
                engine.connect().close()
                break
            except OperationalError:
                if time.monotonic() > deadline:
                    raise
                if self._server is not None and self._server.poll() is not None:
                    # Children of a killed one still hold its shared memory.
                    self._launch()
                time.sleep(0.05)
        engine.dispose()

    def _run(self, program: str, *flags: str) -> None:
        command = [*_as_postgres(), self._programs / program, "-D", self._data, *flags]
        subprocess.run(command, check=True, capture_output=True, cwd="/")


def _as_postgres() -> list[str]:
    # initdb and postgres refuse root.
    return ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"] * (
        os.geteuid() == 0
    )
