"""A device that raises alerts, without a camera."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from pathlib import Path

from shopfloor_contracts.alerts import AlertData, AlertState
from shopfloor_contracts.rules import Severity
from shopfloor_edge.journal.outbox import Draft, Outbox

SITE = """
site = "berlin-1"
device = "door"
time_zone = "Europe/Berlin"

[[cameras]]
name = "entrance"
uri = "rtsp://10.0.0.7/secret-path"

[[cameras.zones]]
name = "tills"
polygon = [[0.1, 0.4], [0.9, 0.4], [0.9, 1.0], [0.1, 1.0]]
analytics = ["queue"]

[[rules]]
name = "long-queue"
camera = "entrance"
metric = "queue-length"
zone = "tills"
above = 4
"""


def raised(
    number: int,
    at_s: float,
    *,
    severity: Severity = Severity.WARNING,
    state: AlertState | None = None,
) -> AlertData:
    at = datetime.fromtimestamp(at_s, UTC)
    return AlertData(
        alert_id=uuid.UUID(int=number),
        rule="long-queue",
        metric="queue-length",
        about="tills",
        state=state or AlertState.RAISED,
        severity=severity,
        at=at,
        since=at,
        value=7.0,
        threshold=4.0,
        track=number,
        note="Anna waits at the till",
    )


def commit(folder: Path, *data: AlertData) -> None:
    outbox = Outbox(folder, max_rows=100_000, max_bytes=10**9)
    source = "/sites/berlin-1/devices/door/cameras/entrance"
    outbox.commit([Draft(one, source, one.at) for one in data])
    outbox.close()
