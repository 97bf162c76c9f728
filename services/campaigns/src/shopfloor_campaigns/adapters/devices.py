"""Devices in SQL: who they are, what they say of themselves, who may speak for them."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import threading
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, bindparam, insert, select, update

from shopfloor_campaigns.adapters.tables import ACTIONS, DEVICES
from shopfloor_campaigns.errors import TooLargeError, UnknownError
from shopfloor_kit.instants import to_ms

MAX_ATTRIBUTES = 200
CAPABILITIES = "capabilities"
"""Attribute with build targets and boards, separated by commas: ``onnx-fp32,onnx-int8``."""
HARDWARE = "hardware"
"""Attribute with the name of the board; a capability too."""

_SEEN = (
    update(DEVICES)
    .where(DEVICES.c.name == bindparam("the_name"))
    .values(last_seen_at=bindparam("seen_at"))
)
_POLL = (
    select(
        DEVICES.c.token_sha256,
        DEVICES.c.attributes.is_(None).label("unknown"),
        DEVICES.c.time_zone,
        ACTIONS,
    )
    .select_from(DEVICES.outerjoin(ACTIONS, ACTIONS.c.id == DEVICES.c.open_action))
    .where(DEVICES.c.name == bindparam("the_name"))
)


def poll_row(connection: Connection, name: str) -> Row[Any] | None:
    """Return a device and its open action (columns None without one) in one query."""
    return connection.execute(_POLL, {"the_name": name}).first()


def holds_token(expected_sha256: str, token: str) -> bool:
    """Compare in constant time; tokens are random, so a plain hash is enough."""
    return hmac.compare_digest(token_digest(token), expected_sha256)


def token_digest(token: str) -> str:
    """Return what is stored of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


def put_devices(
    connection: Connection, wanted: Iterable[Mapping[str, Any]], now: datetime
) -> dict[str, str]:
    """Create or change devices: ``name``, ``labels``, ``time_zone``, ``token`` (None keeps it).

    Returns:
        The token of each device that got a new one.
    """
    wanted = list(wanted)
    names = [device["name"] for device in wanted]
    known = _known(connection, names)
    tokens: dict[str, str] = {}
    fresh, changed = [], []
    for device in wanted:
        values = {
            "name": device["name"],
            "labels": json.dumps(device["labels"], sort_keys=True),
            "time_zone": device["time_zone"],
            "changed_at": to_ms(now),
        }
        token = device.get("token")
        if device["name"] not in known:
            token = token or secrets.token_hex(16)
            fresh.append(values | {"token_sha256": token_digest(token)})
            tokens[device["name"]] = token
        else:
            if token:
                values["token_sha256"] = token_digest(token)
                tokens[device["name"]] = token
            changed.append(values)
    if fresh:
        connection.execute(insert(DEVICES), fresh)
    for values in changed:
        connection.execute(update(DEVICES).where(DEVICES.c.name == values["name"]).values(values))
    return tokens


def _known(connection: Connection, names: list[str]) -> set[str]:
    found: set[str] = set()
    # SQLite takes a bounded number of parameters in one statement.
    for begin in range(0, len(names), 500):
        some = DEVICES.c.name.in_(names[begin : begin + 500])
        found.update(connection.execute(select(DEVICES.c.name).where(some)).scalars())
    return found


def new_token(connection: Connection, name: str) -> str:
    """Give a device another token; the old one ends. Raises ``UnknownError``."""
    token = secrets.token_hex(16)
    values = {"token_sha256": token_digest(token)}
    done = connection.execute(update(DEVICES).where(DEVICES.c.name == name).values(values))
    if done.rowcount == 0:
        raise UnknownError(f"no device is named {name!r}")
    return token


def put_attributes(
    connection: Connection, name: str, mode: str, data: Mapping[str, str], now: datetime
) -> None:
    """Take in what a device says of itself: ``merge``, ``replace`` or ``remove`` keys.

    Raises:
        TooLargeError: it would have more than ``MAX_ATTRIBUTES``.
    """
    before = attributes_of(
        connection.execute(
            select(DEVICES.c.attributes).where(DEVICES.c.name == name)
        ).scalar_one_or_none()
    )
    if mode == "remove":
        after = {key: value for key, value in before.items() if key not in data}
    else:
        after = dict(data) if mode == "replace" else before | dict(data)
    if len(after) > MAX_ATTRIBUTES:
        raise TooLargeError(f"{len(after)} attributes, expected at most {MAX_ATTRIBUTES}")
    values = {"attributes": json.dumps(after, sort_keys=True)}
    if after != before:
        values["changed_at"] = to_ms(now)  # type: ignore[assignment]
    connection.execute(update(DEVICES).where(DEVICES.c.name == name).values(values))


def attributes_of(text: str | None) -> dict[str, str]:
    """Return what a device said of itself."""
    return {} if text is None else json.loads(text)


def capabilities_of(attributes: str | None) -> set[str]:
    """Return what a device can run, by its own word."""
    said = attributes_of(attributes)
    listed = {part.strip() for part in said.get(CAPABILITIES, "").split(",")}
    return (listed | {said.get(HARDWARE, "")}) - {""}


class Sightings:
    """When devices were last seen: kept here and written in one go, not once a poll."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: dict[str, int] = {}

    def note(self, name: str, now: datetime) -> None:
        """Remember that a device spoke."""
        with self._lock:
            self._seen[name] = to_ms(now)

    def write(self, connection: Connection) -> None:
        """Store what was noted."""
        with self._lock:
            seen, self._seen = self._seen, {}
        if seen:
            rows = [{"the_name": name, "seen_at": at} for name, at in seen.items()]
            connection.execute(_SEEN, rows)
