"""``shopfloor-edge identity``: enrol, renew, secrets, status."""

from __future__ import annotations

import argparse
import json
import sys
from datetime import UTC, datetime
from pathlib import Path

from shopfloor_contracts.site import SiteFile
from shopfloor_edge.errors import IdentityError, NotEnrolledError
from shopfloor_edge.identity.device import Identity, Invitation, hardware_serial
from shopfloor_edge.identity.pairs import Pair

MAX_TOKEN_BYTES = 1000


def run_identity(site: SiteFile | None, arguments: argparse.Namespace) -> int:
    """Run one of them; return the exit code.

    Raises:
        IdentityError, IdentityDelayedError: see ``Identity``.
    """
    if arguments.action == "serial":
        _show({"serial": arguments.serial or hardware_serial()}, as_json=arguments.json)
        return 0
    if site is None:
        raise IdentityError(f"identity {arguments.action}: wants --site FILE")
    identity = Identity(site)
    if arguments.action == "enrol":
        serial = arguments.serial or hardware_serial()
        if not serial:
            raise IdentityError("enrol: this machine's firmware tells no serial: give --serial")
        identity.enrol(Invitation(_token(arguments.token_file), serial))
    elif arguments.action == "renew":
        identity.renew()
    elif arguments.action == "secrets":
        _show({"secrets": identity.fetch_secrets()}, as_json=arguments.json)
        return 0
    told = _status(identity)
    _show(told, as_json=arguments.json)
    return 0 if told["state"] in ("good", "renewal is due") else 1


def _status(identity: Identity) -> dict[str, object]:
    try:
        pair = identity.pairs.current()
    except NotEnrolledError as e:
        return {"name": identity.name, "state": "not enrolled", "detail": str(e)}
    return {
        "name": pair.name,
        "state": _state(pair, identity.name, datetime.now(UTC)),
        "serial": f"{pair.serial:x}",
        "not_before": pair.not_before.isoformat(),
        "not_after": pair.not_after.isoformat(),
        "renew_at": pair.renew_at.isoformat(),
        "folder": str(identity.folder),
    }


def _state(pair: Pair, name: str, now: datetime) -> str:
    if pair.name != name:
        return f"of another device: the site file says {name}"
    if now < pair.not_before:
        return "not yet valid: is this device's clock right?"
    if now >= pair.not_after:
        return "ended: enrol again, or set the clock"
    return "renewal is due" if now >= pair.renew_at else "good"


def _token(file: str) -> str:
    try:
        # Not on the command line: that is everybody's to read.
        text = sys.stdin.read(MAX_TOKEN_BYTES) if file == "-" else Path(file).read_text()
    except (OSError, UnicodeDecodeError) as e:
        raise IdentityError(f"{file}: no token can be read there: {e}") from e
    token = text.strip()
    if not token or len(token) > MAX_TOKEN_BYTES:
        raise IdentityError(f"{file}: holds no token")
    return token


def _show(told: dict[str, object], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(told))
        return
    for key, value in told.items():
        print(f"{key}: {', '.join(map(str, value)) if isinstance(value, list) else value}")
