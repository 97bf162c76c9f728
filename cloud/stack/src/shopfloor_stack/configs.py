"""The files under ``cloud/`` and ``dashboards/provisioning`` for one machine.

They are used as they stand, but for addresses and paths: what is tuned there holds here too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from shopfloor_stack.errors import StackError
from shopfloor_stack.layout import Layout, write_private
from shopfloor_stack.settings import DEFAULT_PORTS, DEFAULT_WEBHOOK, REPOSITORY

CLOUD = REPOSITORY / "cloud"
PROVISIONING = REPOSITORY / "dashboards" / "provisioning"
BOARDS = REPOSITORY / "dashboards" / "json"


SCRAPED = ("ingest", "registry", "campaigns", "prometheus", "alertmanager")
READER_SQL = CLOUD / "postgresql" / "reader.sql"


@dataclass(frozen=True, slots=True)
class Places:
    """How the parts reach each other, and where Prometheus and Grafana find their files."""

    addresses: Mapping[str, str]
    """``host:port`` of each part, as the others see it."""
    webhook: str
    rules: str
    boards: str
    reader_password: str
    """The file with the password of the dashboards' role, as Grafana sees it."""


def substitute(text: str, replacements: Mapping[str, str]) -> str:
    """Replace each key by its value, all in one pass.

    Raises:
        StackError: a key is not there: the file has changed, and its addresses would be wrong.
    """
    missing = [key for key in replacements if key not in text]
    if missing:
        raise StackError(f"{missing[0]!r} is not in the file that it is to be replaced in")
    keys = sorted(replacements, key=len, reverse=True)
    pattern = "|".join(re.escape(key) for key in keys)
    return re.sub(pattern, lambda found: replacements[found.group()], text)


def write_prometheus(folder: Path, places: Places) -> Path:
    """Write Prometheus' configuration; returns its path."""
    text = (CLOUD / "prometheus" / "prometheus.yml").read_text()
    path = folder / "prometheus.yml"
    changed = _addresses(places, *SCRAPED)
    write_private(path, substitute(text, {**changed, "rules/*.yml": places.rules}))
    return path


def write_alertmanager(folder: Path, places: Places) -> Path:
    """Write Alertmanager's configuration; returns its path."""
    text = (CLOUD / "alertmanager" / "alertmanager.yml").read_text()
    path = folder / "alertmanager.yml"
    write_private(path, substitute(text, {DEFAULT_WEBHOOK: places.webhook}))
    return path


def write_grafana(folder: Path, places: Places) -> Path:
    """Write Grafana's provisioning; returns its folder."""
    root = folder / "grafana"
    for source in sorted(PROVISIONING.glob("*/*.yml")):
        text = source.read_text()
        changed = {
            old: new
            for old, new in {
                **_addresses(places, "prometheus", "alertmanager"),
                "/etc/grafana/dashboards/shopfloor": places.boards,
                "url: 127.0.0.1:5432": f"url: {places.addresses['database']}",
                "database: shopfloor": "database: ingest",
                # A file, so that the password is in no environment.
                "${SHOPFLOOR_READER_PASSWORD}": f"$__file{{{places.reader_password}}}",
            }.items()
            if old in text
        }
        target = root / source.parent.name / source.name
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_private(target, substitute(text, changed) if changed else text)
    return root


def write_broker(layout: Layout, port: int, *, account: str | None) -> Path:
    """Write mosquitto's configuration for the loopback address; returns its path.

    ``account`` is whom it runs as when root starts it: its own account may not read our folder.
    """
    text = (CLOUD / "mosquitto" / "mosquitto.conf").read_text()
    write_private(layout.config / "acl", (CLOUD / "mosquitto" / "acl").read_text())
    changed = {
        "/mosquitto/config/acl": str(layout.config / "acl"),
        "/mosquitto/certs/ca.crt": str(layout.pki / "ca.crt"),
        "/mosquitto/certs/ca.crl": str(layout.pki / "ca.crl"),
        "/mosquitto/certs/server.crt": str(layout.pki / "broker.crt"),
        "/mosquitto/certs/server.key": str(layout.pki / "broker.key"),
        "/mosquitto/data/": f"{layout.data_of('broker')}/",
        "\nlistener 8883\n": f"\nlistener {port} 127.0.0.1\n",
    }
    path = layout.config / "mosquitto.conf"
    first = f"user {account}\n" if account else ""
    write_private(path, first + substitute(text, changed))
    return path


def write_service(path: Path, values: Mapping[str, str | int]) -> Path:
    """Write the settings of a service of ours; returns their path."""
    # A JSON string is a TOML basic string.
    write_private(path, "".join(f"{key} = {json.dumps(value)}\n" for key, value in values.items()))
    return path


def _addresses(places: Places, *parts: str) -> dict[str, str]:
    return {f"127.0.0.1:{DEFAULT_PORTS[part]}": places.addresses[part] for part in parts}
