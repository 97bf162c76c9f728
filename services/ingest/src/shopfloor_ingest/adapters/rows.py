"""Events as rows, and device states there and back."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import Row

from shopfloor_ingest.adapters.bulk import Line
from shopfloor_ingest.domain.devices import DeviceState, DeviceStatus
from shopfloor_ingest.domain.messages import Accepted, Rejected
from shopfloor_ingest.domain.rollups import began_at

PARKED_BYTES = 4096
"""Of a rejected payload: enough to see what it was, too little to fill a disk."""

Values = Mapping[str, Any]


def event_line(identity: str, accepted: Accepted) -> Line:
    """Return the row of ``events``, in the order of its columns."""
    event, topic = accepted.event, accepted.topic
    return (
        identity,
        topic.site,
        topic.device,
        accepted.camera,
        topic.kind.value,
        _text(event.stream),
        event.seq,
        event.prevseq,
        instant(event.time),
        _received(accepted.message.received_at),
        event.data.model_dump_json(),
        began_at(event.data, event.time),
    )


def dead_letter_row(rejected: Rejected) -> Values:
    """Return the row of ``dead_letters``."""
    return {
        "received_at": instant(rejected.message.received_at),
        "topic": rejected.message.topic[:1000],
        "reason": rejected.reason,
        "detail": rejected.detail[:1000].replace("\0", "\N{REPLACEMENT CHARACTER}"),
        "payload": rejected.message.payload[:PARKED_BYTES],
    }


def device_row(site: str, device: str, state: DeviceState) -> Values:
    """Return the row of ``devices``."""
    return {
        "site": site,
        "device": device,
        "status": str(state.status),
        "boot_id": str(state.boot_id),
        "stream": None if state.stream is None else str(state.stream),
        "said_at": instant(state.said_at),
        "last_seen_at": instant(state.last_seen_at),
        "heartbeat": state.heartbeat,
    }


def device_state(row: Row[Any]) -> DeviceState:
    """Read a row of ``devices``."""
    return DeviceState(
        status=DeviceStatus(row.status),
        boot_id=uuid.UUID(row.boot_id),
        stream=None if row.stream is None else uuid.UUID(row.stream),
        said_at=datetime.fromisoformat(row.said_at),
        last_seen_at=datetime.fromisoformat(row.last_seen_at),
        heartbeat=row.heartbeat,
    )


def instant(at: datetime) -> str:
    """Return ISO 8601 in UTC, always of the same length, so that text sorts like time."""
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


# The events of one message share both.
_received = lru_cache(maxsize=64)(instant)


@lru_cache(maxsize=4096)
def _text(stream: uuid.UUID) -> str:
    return str(stream)
