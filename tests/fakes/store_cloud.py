"""The cloud of one store in a network namespace: identity, broker and ingest, over TLS 1.3.

All of it is the product's own, set up by the commands of its guides; state lies in ``folder``.
"""

from __future__ import annotations

import json
import os
import pwd
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import httpx

from fakes.store_network import StoreNetwork

REPOSITORY = Path(__file__).resolve().parents[2]
MODULES = {
    "shopfloor-identity": "shopfloor_identity.app",
    "shopfloor-ingest": "shopfloor_ingest.app",
}
PORTS = {"broker": 8883, "identity": 8092, "ingest": 8080}
READY_S = 40.0


class StoreCloud:
    """Identity service, mosquitto with lists of revoked certificates, ingest on SQLite."""

    def __init__(self, network: StoreNetwork, folder: Path) -> None:
        self.folder, self._network = folder, network
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self.root = folder / "online" / "root.crt"
        self.identity_url = f"https://{self._network.cloud}:{PORTS['identity']}"
        self.ingest_url = f"http://{self._network.cloud}:{PORTS['ingest']}"
        folder.mkdir(parents=True)
        folder.chmod(0o755)

    def start(self) -> None:
        """Hold the ceremony, issue the servers' certificates, start everything."""
        (self.folder / "certs").mkdir()
        (self.folder / "phrase").write_text("correct horse battery staple\n")
        (self.folder / "identity.toml").write_text(self._identity_settings())
        self.run("shopfloor-identity ceremony --root root --online online --passphrase-file phrase")
        for words in (
            f"identity --host {self._network.cloud}",
            f"broker --host {self._network.cloud}",
            "ingest --client",
        ):
            self.run(f"shopfloor-identity issue {words} --out certs --config identity.toml")
        said = self.run("shopfloor-identity operator installer operator --config identity.toml")
        self.operator = said.strip().splitlines()[-1]
        self.run("shopfloor-identity crl --config identity.toml")
        self._serve("identity", "shopfloor-identity serve --config identity.toml")
        self._write_broker()
        self.start_broker()
        (self.folder / "ingest.toml").write_text(self._ingest_settings())
        self._serve("ingest", "shopfloor-ingest --config ingest.toml")
        self._wait("ingest", lambda: httpx.get(f"{self.ingest_url}/healthz").status_code == 200)

    def start_broker(self) -> None:
        """Start mosquitto; after a revocation its supervisor would."""
        program = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
        self._begin("broker", [program, "-c", str(self.folder / "mosquitto.conf")])

    def run(self, line: str) -> str:
        """Run a command of the cloud's; return what it printed."""
        program, *words = line.split()
        done = subprocess.run(
            [sys.executable, "-m", MODULES[program], *words],
            cwd=self.folder, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{line}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    def events(self, kind: str) -> list[int]:
        """Return the numbers of the stored events of one kind, in their order."""
        connection = sqlite3.connect(f"file:{self.folder / 'ingest.db'}?mode=ro", uri=True)
        try:
            rows = connection.execute("SELECT seq FROM events WHERE kind = ? ORDER BY seq", (kind,))
            return [seq for (seq,) in rows]
        finally:
            connection.close()

    def stored(self, up_to: int) -> int:
        """Return how many of the first so many numbered events are stored."""
        connection = sqlite3.connect(f"file:{self.folder / 'ingest.db'}?mode=ro", uri=True)
        try:
            query = "SELECT count(DISTINCT seq) FROM events WHERE seq BETWEEN 1 AND ?"
            return int(connection.execute(query, (up_to,)).fetchone()[0])
        finally:
            connection.close()

    def doubled(self) -> int:
        """Return how many events are stored more than once."""
        connection = sqlite3.connect(f"file:{self.folder / 'ingest.db'}?mode=ro", uri=True)
        try:
            query = (
                "SELECT count(*) - count(DISTINCT stream || ':' || seq) FROM events WHERE seq > 0"
            )
            return int(connection.execute(query).fetchone()[0])
        finally:
            connection.close()

    def close(self) -> None:
        """End what was started."""
        for process in self._processes.values():
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in self._processes.values():
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _serve(self, name: str, line: str) -> None:
        program, *words = line.split()
        self._begin(name, [sys.executable, "-m", MODULES[program], *words])

    def _begin(self, name: str, command: list[str]) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            self._processes[name] = subprocess.Popen(
                self._network.command("cloud", command), cwd=self.folder, stdout=log, stderr=log
            )

    def _wait(self, name: str, ready) -> None:
        until_s = time.monotonic() + READY_S
        while True:
            try:
                if ready():
                    return
            except httpx.TransportError:
                pass
            ended = self._processes[name].poll() is not None
            if ended or time.monotonic() > until_s:
                raise RuntimeError(f"{name}: {(self.folder / f'{name}.log').read_text()[-2000:]}")
            time.sleep(0.1)

    def _identity_settings(self) -> str:
        return _toml(
            {
                "database": f"sqlite:///{self.folder}/identity.db",
                "authority": "online",
                "crl_file": str(self.folder / "certs" / "ca.crl"),
                "broker_pid_file": str(self.folder / "mosquitto.pid"),
                "broker_restart": False,
                "http_host": self._network.cloud,
                "http_port": PORTS["identity"],
                "tls_cert_file": "certs/identity.crt",
                "tls_key_file": "certs/identity.key",
                "tls_ca_file": str(self.root),
            }
        )

    def _ingest_settings(self) -> str:
        return _toml(
            {
                "broker_host": self._network.cloud,
                "broker_port": PORTS["broker"],
                "broker_ca_file": str(self.root),
                "broker_cert_file": "certs/ingest.crt",
                "broker_key_file": "certs/ingest.key",
                "database": f"sqlite:///{self.folder}/ingest.db",
                "http_host": self._network.cloud,
                "http_port": PORTS["ingest"],
            }
        )

    def _write_broker(self) -> None:
        """Adapt the shipped configuration: its paths, its address, and whom it runs as."""
        text = (REPOSITORY / "cloud" / "mosquitto" / "mosquitto.conf").read_text()
        data = self.folder / "broker"
        data.mkdir()
        for theirs, ours in (
            ("/mosquitto/config/acl", str(self.folder / "acl")),
            ("/mosquitto/certs/ca.crt", str(self.root)),
            ("/mosquitto/certs/server.crt", str(self.folder / "certs" / "broker.crt")),
            ("/mosquitto/certs/server.key", str(self.folder / "certs" / "broker.key")),
            ("/mosquitto/certs/ca.crl", str(self.folder / "certs" / "ca.crl")),
            ("/mosquitto/data/mosquitto.pid", str(self.folder / "mosquitto.pid")),
            ("/mosquitto/data/", f"{data}/"),
            ("listener 8883", f"listener {PORTS['broker']} {self._network.cloud}"),
            ("log_dest stdout", "log_dest stderr"),
        ):
            assert theirs in text, theirs
            text = text.replace(theirs, ours)
        text += f"user {pwd.getpwuid(os.geteuid()).pw_name}\n"
        (self.folder / "mosquitto.conf").write_text(re.sub(r"^#.*\n", "", text, flags=re.MULTILINE))
        shutil.copy(REPOSITORY / "cloud" / "mosquitto" / "acl", self.folder / "acl")
        (self.folder / "acl").chmod(0o700)


def _toml(values: dict[str, object]) -> str:
    return "".join(f"{key} = {json.dumps(value)}\n" for key, value in values.items())
