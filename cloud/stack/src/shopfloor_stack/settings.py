"""What an operator chooses through the environment, read once."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from shopfloor_stack.errors import OperatorError

REPOSITORY = Path(__file__).resolve().parents[4]

DEFAULT_PORTS = {
    "broker": 8883,
    "database": 5433,
    "ingest": 8080,
    "registry": 8081,
    "campaigns": 8091,
    "identity": 8092,
    "prometheus": 9090,
    "alertmanager": 9093,
    "grafana": 3000,
}
"""Where each part listens on 127.0.0.1; the same numbers stand in the files under ``cloud/``."""

DEFAULT_WEBHOOK = "http://127.0.0.1:9095"


@dataclass(frozen=True, slots=True)
class Settings:
    """One stack."""

    folder: Path
    """Everything that it keeps."""
    ports: Mapping[str, int]
    webhook: str
    """Where Alertmanager tells alerts; each receiver appends its name."""


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Read ``SHOPFLOOR_CLOUD``, ``SHOPFLOOR_PORTS`` and ``SHOPFLOOR_WEBHOOK``.

    Raises:
        OperatorError: one of them cannot be used; the message names it.
    """
    folder = environment.get("SHOPFLOOR_CLOUD", "").strip()
    webhook = environment.get("SHOPFLOOR_WEBHOOK", "").strip() or DEFAULT_WEBHOOK
    return Settings(
        folder=Path(folder).expanduser().absolute() if folder else REPOSITORY / "var" / "cloud",
        ports=read_ports(environment.get("SHOPFLOOR_PORTS", "")),
        webhook=_checked_webhook(webhook),
    )


def read_ports(text: str) -> dict[str, int]:
    """Read ``broker=18883,ingest=18080``; parts that are not named keep their default.

    Raises:
        OperatorError: a part is unknown, a port is no port, or two parts share one.
    """
    ports = dict(DEFAULT_PORTS)
    for pair in filter(None, (pair.strip() for pair in text.split(","))):
        part, _, number = pair.partition("=")
        if part not in ports:
            near = difflib.get_close_matches(part, ports, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"expected one of {', '.join(ports)}"
            raise OperatorError(f"SHOPFLOOR_PORTS: unknown part {part!r}; {hint}")
        if not number.isascii() or not number.isdigit() or not 1 <= int(number) <= 65_535:
            raise OperatorError(f"SHOPFLOOR_PORTS: {part} is {number!r}, expected 1 to 65535")
        ports[part] = int(number)
    twins = [part for part in ports if list(ports.values()).count(ports[part]) > 1]
    if twins:
        raise OperatorError(f"SHOPFLOOR_PORTS: {' and '.join(twins)} have the same port")
    return ports


def _checked_webhook(text: str) -> str:
    try:
        address = urlsplit(text)
        usable = address.scheme in ("http", "https") and bool(address.hostname) and "'" not in text
    except ValueError:
        usable = False
    if not usable or any(character.isspace() for character in text):
        raise OperatorError(f"SHOPFLOOR_WEBHOOK is {text!r}, expected http://HOST/… or https://…")
    return text.rstrip("/")
