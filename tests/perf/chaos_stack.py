"""The real processes of the chaos: mosquitto, PostgreSQL, two ingest replicas and device agents."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx
from sqlalchemy import Engine

from fakes.postgresql import Cluster
from perf.chaos_load import Load
from shopfloor_demo.broker import Broker
from shopfloor_demo.processes import Processes, wait_until
from shopfloor_edge.errors import JournalError
from shopfloor_edge.journal.state import read_state
from shopfloor_kit.database import open_engine

REPOSITORY = Path(__file__).resolve().parents[2]
REPLICAS = ("ingest-1", "ingest-2")
READY_S = 60.0
SITE = """
site = "{site}"
device = "{device}"
[uplink]
port = {port}
username = "{user}"
password_file = "{password_file}"
heartbeat_s = 2
batch_s = {batch_s}
[outbox]
max_rows = {max_rows}
[[cameras]]
name = "cam-0"
uri = "rtsp://127.0.0.1/none"
lines = [{{name = "l", a = [0.5, 0.0], b = [0.5, 1.0]}}]
"""


class ChaosStack:
    """Everything that can be killed, by name; as a context manager it leaves none behind."""

    def __init__(self, folder: Path, loads: list[Load], **database: str) -> None:
        self.processes = Processes(folder / "logs")
        self._folder, self._loads = folder, loads
        self.broker = Broker(
            folder / "broker",
            self.processes,
            users=["ingest", *(load.user for load in loads)],
            acl_file=REPOSITORY / "cloud" / "mosquitto" / "acl",
        )
        # A crash must cost nothing that was committed: fsync as in production.
        self._cluster = Cluster(**{"fsync": "on", **database})
        self.url = self._cluster.make_database()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.processes.stop_all()
        self._cluster.stop()

    def start(self) -> None:
        """Start everything and return when both replicas are well."""
        self.broker.start()
        for name in REPLICAS:
            self.processes.start(name, self._ingest(name))
        for number, load in enumerate(self._loads):
            # Half of the devices send batches, the others each event alone.
            self.processes.start(load.user.replace("/", "-"), self._agent(load, number % 2))
        for name in REPLICAS:
            wait_until(lambda name=name: self._is_well(name), timeout_s=READY_S, what=name)

    def victims(self) -> dict[str, tuple[Callable[[], object], Callable[[], object]]]:
        """Return how each is killed and how it comes back, by name."""
        found: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
            "database": (self._cluster.kill9, self._cluster.start),
            "broker": (lambda: self.processes.kill9("broker"), self.broker.restart),
        }
        for name in (*REPLICAS, *(load.user.replace("/", "-") for load in self._loads)):
            found[name] = (
                lambda name=name: self.processes.kill9(name),
                lambda name=name: self.processes.restart(name),
            )
        return found

    def is_drained(self) -> bool:
        """Say whether every outbox is empty: all that was not dropped is acknowledged."""
        try:
            return all(read_state(load.folder).outbox_rows == 0 for load in self._loads)
        except JournalError:
            return False

    def open_engine(self) -> Engine:
        """Return the cloud's database."""
        return open_engine(self.url)

    def _is_well(self, name: str) -> bool:
        self.processes.check(name)
        address = self._folder / f"{name}.address"
        try:
            found = httpx.get(f"http://{address.read_text().strip()}/healthz", trust_env=False)
        except (OSError, httpx.HTTPError):
            return False
        return found.status_code == 200

    def _ingest(self, name: str) -> list[str]:
        config = self._folder / f"{name}.toml"
        values = {
            "broker_port": self.broker.port,
            "broker_username": "ingest",
            "broker_password_file": str(self.broker.password_file("ingest")),
            "client_id": name,
            "database": self.url,
            "http_port": 0,
        }
        lines = (f"{key} = {json.dumps(value)}\n" for key, value in values.items())
        config.write_text("".join(lines))
        address = str(self._folder / f"{name}.address")
        argv = [sys.executable, "-m", "shopfloor_ingest.app", "--config", str(config)]
        return [*argv, "--address-file", address]

    def _agent(self, load: Load, batch_s: float) -> list[str]:
        site = self._folder / f"{load.device}.toml"
        site.write_text(
            SITE.format(
                site=load.site,
                device=load.device,
                user=load.user,
                port=self.broker.port,
                password_file=self.broker.password_file(load.user),
                batch_s=batch_s,
                max_rows=load.max_rows,
            )
        )
        argv = [sys.executable, "-m", "shopfloor_edge.main", "agent", "--site", str(site)]
        return [*argv, "--state", str(load.folder)]
