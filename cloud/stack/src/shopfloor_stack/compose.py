"""What ``cloud/compose.yaml`` mounts, and the engine that runs it.

It is kept apart from the folder of a stack without containers: their accounts differ.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from shopfloor_stack import configs
from shopfloor_stack.configs import CLOUD, Places
from shopfloor_stack.errors import OperatorError, StackError
from shopfloor_stack.layout import Layout, write_private
from shopfloor_stack.pki import Authority
from shopfloor_stack.postgresql import ADMIN, READER, SERVICES, passfile
from shopfloor_stack.settings import DEFAULT_PORTS, Settings

FILE = CLOUD / "compose.yaml"
DATABASE = "database:5432"
"""Where the other containers reach it."""
ACCOUNT = 10_001
"""Whom containers run as where root prepares them."""
_MOUNTED = ("broker", "database", "registry", "prometheus", "alertmanager", "grafana")
"""Parts that keep data."""


def prepare(settings: Settings) -> Path:
    """Write keys, passwords and settings for the containers; returns the file of variables."""
    layout = Layout(settings.folder.with_name(f"{settings.folder.name}-compose"))
    layout.make()
    authority = Authority(layout.pki)
    authority.server("broker", ["localhost", "127.0.0.1", "broker"])
    authority.client("ingest", "ingest")
    for name in ("database-admin", "grafana-admin"):
        layout.secret(name)
    for who in (*SERVICES, READER, ADMIN):
        passfile(layout, who, DATABASE)
    for part in _MOUNTED:
        layout.data_of(part)
    _write_configs(layout, settings.webhook)
    account, group = os.geteuid() or ACCOUNT, os.getegid() if os.geteuid() else ACCOUNT
    if os.geteuid() == 0:
        _give(layout, account)
    variables = {
        "SHOPFLOOR_CLOUD": str(layout.root),
        "SHOPFLOOR_UID": str(account),
        "SHOPFLOOR_GID": str(group),
        **{f"PORT_{part.upper()}": str(port) for part, port in settings.ports.items()},
    }
    path = layout.root / "compose.env"
    write_private(path, "".join(f"{name}={value}\n" for name, value in variables.items()))
    return path


def run(settings: Settings, arguments: Sequence[str]) -> int:
    """Run ``docker compose`` on our file; returns its exit code.

    Raises:
        OperatorError: there is no engine with compose here.
    """
    engine = shutil.which("docker") or shutil.which("podman")
    if engine is None:
        raise OperatorError("neither docker nor podman is installed: 'make cloud-up' needs neither")
    probe = subprocess.run([engine, "compose", "version"], capture_output=True, check=False)
    if probe.returncode:
        raise OperatorError(f"{engine} has no compose: see docs/cloud.md, or leave CLOUD out")
    variables = prepare(settings)
    argv = [engine, "compose", "--env-file", str(variables), "--file", str(FILE), *arguments]
    return subprocess.run(argv, check=False).returncode


def _write_configs(layout: Layout, webhook: str) -> None:
    inside = {part: f"{part}:{port}" for part, port in DEFAULT_PORTS.items()}
    inside["database"] = DATABASE
    secrets = "/run/secrets"
    places = Places(
        addresses=inside,
        # In a container, this machine is another one.
        webhook=webhook.replace("127.0.0.1", "host.docker.internal"),
        rules="/etc/prometheus/rules/*.yml",
        boards="/etc/grafana/dashboards/shopfloor",
        reader_password=f"{secrets}/database-{READER}",
    )
    configs.write_prometheus(layout.config, places)
    configs.write_alertmanager(layout.config, places)
    configs.write_grafana(layout.config, places)
    own: dict[str, dict[str, str | int]] = {
        "ingest": {
            "broker_host": "broker",
            "broker_port": DEFAULT_PORTS["broker"],
            "broker_ca_file": f"{secrets}/ca.crt",
            "broker_cert_file": f"{secrets}/ingest.crt",
            "broker_key_file": f"{secrets}/ingest.key",
        },
        "registry": {"folder": "/var/lib/shopfloor/artefacts"},
        "campaigns": {"targets_url": f"http://{inside['registry']}/tuf/targets"},
    }
    for service, values in own.items():
        passed = f"{service}?passfile={secrets}/{service}.pgpass"
        shared: dict[str, str | int] = {
            "database": f"postgresql://{service}@{DATABASE}/{passed}",
            "http_host": "0.0.0.0",  # noqa: S104 — of its container; published on loopback
            "http_port": DEFAULT_PORTS[service],
        }
        configs.write_service(layout.config / f"{service}.toml", values | shared)


def _give(layout: Layout, account: int) -> None:
    try:
        for folder in (layout.secrets, layout.pki, layout.config, layout.data):
            for path in (folder, *folder.rglob("*")):
                os.chown(path, account, account, follow_symlinks=False)
    except OSError as e:
        raise StackError(f"{layout.root}: {e}") from e
