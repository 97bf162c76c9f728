"""What a campaign asks of this device, out of a deployment's documents."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from shopfloor_contracts.ddi import (
    BANDWIDTH_KEY,
    DEADLINE_KEY,
    ROLLBACK_KEY,
    SHADOW_KEY,
    TARGET_KEY,
    TRIAL_KEY,
    Chunk,
    DeploymentBase,
    Handling,
)
from shopfloor_edge.errors import UpdateRefusedError

TRIAL_S = 600.0
"""Where the campaign says nothing."""
LONGEST_S = 30 * 86_400.0


@dataclass(frozen=True, slots=True)
class Plan:
    """One action: one target, and how it is to be tried."""

    action: str
    """Empty for a person's own."""
    target: str
    """TUF path."""
    shadow_s: float = 0.0
    trial_s: float = TRIAL_S
    deadline_at: datetime | None = None
    bytes_per_s: int | None = None
    may_download: bool = True
    may_update: bool = True
    restore: str = ""
    """Digest to go back to, where this undoes an update."""


def plan_of(base: DeploymentBase) -> Plan:
    """Read a deployment.

    Raises:
        UpdateRefusedError: it names not exactly one target, or a value is not understood.
    """
    deployment = base.deployment
    if len(deployment.chunks) != 1:
        raise UpdateRefusedError(f"deployment has {len(deployment.chunks)} chunks, expected 1")
    chunk = deployment.chunks[0]
    target = chunk.said(TARGET_KEY)
    if not target:
        raise UpdateRefusedError(f"deployment names no {TARGET_KEY}")
    cap = _number(chunk, BANDWIDTH_KEY, 0.0)
    open_now = deployment.maintenance_window in (None, "available")
    return Plan(
        base.id,
        target,
        shadow_s=_number(chunk, SHADOW_KEY, 0.0),
        trial_s=_number(chunk, TRIAL_KEY, TRIAL_S),
        deadline_at=_instant(chunk),
        bytes_per_s=max(1, int(cap)) if cap else None,
        may_download=deployment.download is not Handling.SKIP,
        may_update=deployment.update is not Handling.SKIP and open_now,
        restore=chunk.said(ROLLBACK_KEY) or "",
    )


def _number(chunk: Chunk, key: str, default: float) -> float:
    said = chunk.said(key)
    try:
        value = default if said is None else float(said)
    except ValueError:
        value = -1.0
    most = LONGEST_S if key != BANDWIDTH_KEY else 1e12
    if not 0 <= value <= most:
        raise UpdateRefusedError(f"{key} is {said!r}, expected 0 to {most:g}")
    return value


def _instant(chunk: Chunk) -> datetime | None:
    said = chunk.said(DEADLINE_KEY)
    if said is None:
        return None
    try:
        found = datetime.fromisoformat(said)
    except ValueError as e:
        raise UpdateRefusedError(f"{DEADLINE_KEY} is {said!r}, expected ISO 8601") from e
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)
