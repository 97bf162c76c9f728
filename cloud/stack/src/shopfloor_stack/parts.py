"""The parts of a stack, in the order of their start: how each is started and asked how it is.

The place for another service of ours: its settings file, its program, a port in ``settings`` and an
account in ``postgresql.SERVICES``.
"""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from shopfloor_stack import configs
from shopfloor_stack.configs import BOARDS, CLOUD, READER_SQL, Places
from shopfloor_stack.daemon import Program
from shopfloor_stack.errors import StackError
from shopfloor_stack.layout import Layout, write_private
from shopfloor_stack.pki import Authority
from shopfloor_stack.postgresql import READER, Database
from shopfloor_stack.programs import grafana
from shopfloor_stack.settings import Settings

HOST = "127.0.0.1"
OPERATOR = "operator"
"""Whose the tokens are that a stack makes."""


@dataclass(frozen=True, slots=True)
class Part:
    """One part: its program, where it is reached, and where it says how it is."""

    program: Program
    address: str
    probe: str
    """A URL for ``probes.complaint``."""
    after_start: Callable[[], None] | None = None
    """What is to be done once it is ready, before the next part starts."""

    @property
    def name(self) -> str:
        """Its name in tables, logs and settings."""
        return self.program.name


class Parts:
    """Makes every part of one stack; files are written by ``build`` alone."""

    def __init__(self, settings: Settings, layout: Layout, found: dict[str, Path]) -> None:
        self._layout, self._ports, self._found = layout, settings.ports, found
        self._database = Database(layout, self._ports["database"])
        self._places = Places(
            addresses={part: f"{HOST}:{port}" for part, port in self._ports.items()},
            webhook=settings.webhook,
            rules=str(CLOUD / "prometheus" / "rules" / "*.yml"),
            boards=str(BOARDS),
            reader_password=str(layout.secrets / f"database-{READER}"),
        )

    def build(self) -> list[Part]:
        """Write keys, passwords and settings, and return the parts; starts none."""
        self._layout.make()
        parts = [self._broker(), self._store(), self._ingest(), self._registry(), self._campaigns()]
        parts += [self._identity()]
        parts += [self._alertmanager(), self._prometheus()]
        command = grafana()
        return parts if command is None else [*parts, self._grafana(command)]

    def _broker(self) -> Part:
        authority = Authority(self._layout.pki)
        authority.server("broker", ["localhost", HOST])
        authority.client("ingest", "ingest")
        account = pwd.getpwuid(0).pw_name if os.geteuid() == 0 else None
        file = configs.write_broker(self._layout, self._ports["broker"], account=account)
        argv = [str(self._found["mosquitto"]), "-c", str(file)]
        port = self._ports["broker"]
        address = f"mqtts://{HOST}:{port}"
        return Part(Program("broker", argv), address, address)

    def _store(self) -> Part:
        database = self._database
        database.prepare()
        # SIGINT is PostgreSQL's fast end: TERM would wait for clients to go.
        program = Program("database", database.command(), database.account, stop_signal="INT")
        address = f"postgresql://{HOST}:{self._ports['database']}"
        return Part(program, address, address, database.admit_services)

    def _ingest(self) -> Part:
        pki, port = self._layout.pki, self._ports["ingest"]
        values: dict[str, str | int] = {
            "broker_host": HOST,
            "broker_port": self._ports["broker"],
            "broker_ca_file": str(pki / "ca.crt"),
            "broker_cert_file": str(pki / "ingest.crt"),
            "broker_key_file": str(pki / "ingest.key"),
            "database": self._database.url("ingest"),
            "http_host": HOST,
            "http_port": port,
        }
        file = configs.write_service(self._layout.config / "ingest.toml", values)
        argv = [sys.executable, "-m", "shopfloor_ingest.app", "--config", str(file)]
        rights = partial(self._database.admit_reader, READER_SQL.read_text())
        return self._over_http(Program("ingest", argv), "/healthz", rights)

    def _registry(self) -> Part:
        folder = self._layout.data_of("registry")
        values: dict[str, str | int] = {"folder": str(folder / "artefacts")}
        # Made by people, whose keys do not lie here: docs/cloud.md.
        if (folder / "tuf").is_dir():
            values["tuf_repository"] = str(folder / "tuf")
            values["tuf_online_keys"] = str(folder / "online")
        file = self._write_service("registry", values)
        module = [sys.executable, "-m", "shopfloor_registry.app"]
        making = ["token", "make", "--config", str(file), "--name", OPERATOR, "--role", "approver"]
        token = partial(self._make_token, "registry", [*module, *making])
        program = Program("registry", [*module, "serve", "--config", str(file)])
        return self._over_http(program, "/healthz", token)

    def _campaigns(self) -> Part:
        registry = f"http://{HOST}:{self._ports['registry']}"
        file = self._write_service("campaigns", {"targets_url": f"{registry}/tuf/targets"})
        module = [sys.executable, "-m", "shopfloor_campaigns.app", "--config", str(file)]
        token = partial(self._make_token, "campaigns", [*module, "token", OPERATOR, "approver"])
        return self._over_http(Program("campaigns", module), "/healthz", token)

    def _identity(self) -> Part:
        pki, folder = self._layout.pki, self._layout.data_of("identity")
        authority = Authority(pki)
        pair = authority.server("identity", ["localhost", HOST])
        values: dict[str, str | int] = {
            # A file of its own: whoever can change it is the authority.
            "database": f"sqlite:///{folder / 'identity.db'}",
            "authority": str(authority.online),
            "crl_file": str(authority.lists),
            # Supervisor starts the broker again, which a revocation ends.
            "broker_pid_file": str(self._layout.data_of("broker") / "mosquitto.pid"),
            "http_host": HOST,
            "http_port": self._ports["identity"],
            "tls_cert_file": str(pair.certificate),
            "tls_key_file": str(pair.key),
            "tls_ca_file": str(authority.certificate),
        }
        file = configs.write_service(self._layout.config / "identity.toml", values)
        module = [sys.executable, "-m", "shopfloor_identity.app"]
        making = ["operator", OPERATOR, "operator", "--config", str(file)]
        token = partial(self._make_token, "identity", [*module, *making])
        program = Program("identity", [*module, "serve", "--config", str(file)])
        address = f"https://{HOST}:{self._ports['identity']}"
        return Part(program, address, address, token)

    def _write_service(self, service: str, values: dict[str, str | int]) -> Path:
        shared: dict[str, str | int] = {
            "database": self._database.url(service),
            "http_host": HOST,
            "http_port": self._ports[service],
        }
        return configs.write_service(self._layout.config / f"{service}.toml", values | shared)

    def _make_token(self, service: str, argv: list[str]) -> None:
        """Keep a token of an approver, which the service prints once."""
        path = self._layout.secrets / f"{service}-token"
        if path.exists():
            return
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        if done.returncode:
            raise StackError(f"{service}: {(done.stderr.strip() or 'no token').splitlines()[-1]}")
        write_private(path, done.stdout.strip())

    def _alertmanager(self) -> Part:
        file = configs.write_alertmanager(self._layout.config, self._places)
        argv = [
            str(self._found["prometheus-alertmanager"]),
            f"--config.file={file}",
            f"--storage.path={self._layout.data_of('alertmanager')}",
            f"--web.listen-address={HOST}:{self._ports['alertmanager']}",
            # One alone: it looks for no others, and listens for none.
            "--cluster.listen-address=",
        ]
        return self._over_http(Program("alertmanager", argv), "/-/ready")

    def _prometheus(self) -> Part:
        file = configs.write_prometheus(self._layout.config, self._places)
        argv = [
            str(self._found["prometheus"]),
            f"--config.file={file}",
            f"--storage.tsdb.path={self._layout.data_of('prometheus')}",
            "--storage.tsdb.retention.time=40d",  # the objectives look back over 30
            f"--web.listen-address={HOST}:{self._ports['prometheus']}",
        ]
        return self._over_http(Program("prometheus", argv), "/-/ready")

    def _grafana(self, command: list[str]) -> Part:
        layout = self._layout
        environment = {
            "GF_SERVER_HTTP_ADDR": HOST,
            "GF_SERVER_HTTP_PORT": str(self._ports["grafana"]),
            "GF_PATHS_DATA": str(layout.data_of("grafana")),
            "GF_PATHS_LOGS": str(layout.logs),
            "GF_PATHS_PROVISIONING": str(configs.write_grafana(layout.config, self._places)),
            "GF_SECURITY_ADMIN_PASSWORD__FILE": str(layout.secret("grafana-admin")),
            "GF_ANALYTICS_REPORTING_ENABLED": "false",
            "GF_ANALYTICS_CHECK_FOR_UPDATES": "false",
        }
        home = Path("/usr/share/grafana")
        flags = ["--homepath", str(home)] if home.is_dir() else []
        program = Program("grafana", [*command, *flags], environment=environment)
        return self._over_http(program, "/api/health")

    def _over_http(
        self, program: Program, path: str, after_start: Callable[[], None] | None = None
    ) -> Part:
        address = f"http://{HOST}:{self._ports[program.name]}"
        return Part(program, address, address + path, after_start)
