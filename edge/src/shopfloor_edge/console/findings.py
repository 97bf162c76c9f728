"""How the device is, as *Health* shows it: figures judged by limits that are stated here."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path

from shopfloor_contracts.events import CameraStatus
from shopfloor_contracts.site import SiteFile
from shopfloor_edge.discipline import Discipline, read_discipline
from shopfloor_edge.journal.state import State, read_state

BLIND = timedelta(seconds=20)
"""Vision writes twice a second."""
CONTACT = timedelta(minutes=10)
"""Ten windows of a minute: a short cut is no news, since the device works without the cloud."""
FULL_WARN, FULL_BAD = 0.5, 0.9
"""Of the outbox's bounds: after that the oldest of the least important goes."""
CLOCK_ERROR_S = 1.0
"""Windows are of a minute; a second of error moves one crossing in sixty."""


class Level(StrEnum):
    """How somebody should take a finding."""

    GOOD = "good"
    WARN = "warn"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    name: str
    """Of the message ``health.NAME``."""
    level: Level
    text: str
    """Key of the message that says it."""
    values: dict[str, object]
    """Of the message; a ``timedelta`` is put into words."""


def findings_of(
    site: SiteFile,
    folder: Path,
    now: datetime,
    discipline: Callable[[], Discipline | None] = read_discipline,
) -> list[Finding]:
    """Look at everything.

    Raises:
        JournalError: ``state.db`` cannot be read now.
    """
    state = read_state(folder)
    return [
        _cameras(site, state, now),
        _cloud(state, now),
        _outbox(site, state),
        _disk(site, folder),
        _clock(now, discipline()),
    ]


def worst(findings: list[Finding]) -> Level:
    """Return the level that the whole has."""
    order = list(Level)
    return max((finding.level for finding in findings), key=order.index, default=Level.GOOD)


def _cameras(site: SiteFile, state: State, now: datetime) -> Finding:
    rows = {row.camera: row for row in state.cameras}
    last_s = max((row.updated_at for row in rows.values()), default=0.0)
    if last_s == 0.0:
        return Finding("cameras", Level.BAD, "cameras_never", {})
    silent = now - datetime.fromtimestamp(last_s, UTC)
    if silent > BLIND:
        return Finding("cameras", Level.BAD, "cameras_blind", {"ago": silent})
    names = [spec.name for spec in site.cameras]
    down = [n for n in names if n not in rows or rows[n].status is not CameraStatus.LIVE]
    values: dict[str, object] = {"live": len(names) - len(down), "count": len(names)}
    if not down:
        return Finding("cameras", Level.GOOD, "cameras_live", values)
    level = Level.BAD if len(down) == len(names) else Level.WARN
    return Finding("cameras", level, "cameras_down", values | {"down": ", ".join(down)})


def _cloud(state: State, now: datetime) -> Finding:
    acked_s = state.counters.get("acked_at", 0)
    waiting: dict[str, object] = {"count": state.outbox_rows}
    if not acked_s:
        return Finding("cloud", Level.WARN, "cloud_never", waiting)
    ago = now - datetime.fromtimestamp(acked_s, UTC)
    if ago > CONTACT and state.outbox_rows:
        return Finding("cloud", Level.WARN, "cloud_late", waiting | {"ago": ago})
    return Finding("cloud", Level.GOOD, "cloud_good", {"ago": ago})


def _outbox(site: SiteFile, state: State) -> Finding:
    dropped = state.counters.get("outbox_dropped", 0)
    share = max(
        state.outbox_rows / site.outbox.max_rows, state.outbox_bytes / site.outbox.max_bytes
    )
    values: dict[str, object] = {"count": state.outbox_rows, "share": f"{share * 100:.0f} %"}
    values["dropped"] = dropped
    if share >= FULL_BAD:
        return Finding("outbox", Level.BAD, "outbox_full", values)
    level = Level.WARN if share >= FULL_WARN else Level.GOOD
    return Finding("outbox", level, "outbox_dropped" if dropped else "outbox_waits", values)


def _disk(site: SiteFile, folder: Path) -> Finding:
    try:
        used = shutil.disk_usage(folder)
    except OSError:
        return Finding("disk", Level.BAD, "disk_unreadable", {})
    values: dict[str, object] = {"free": _gigabytes(used.free), "total": _gigabytes(used.total)}
    reserve = site.updates.reserve_bytes
    if used.free < reserve:
        return Finding("disk", Level.BAD, "disk_full", values)
    if used.free < 2 * reserve or used.free < 0.05 * used.total:
        return Finding("disk", Level.WARN, "disk_low", values)
    return Finding("disk", Level.GOOD, "disk_good", values)


def _clock(now: datetime, discipline: Discipline | None) -> Finding:
    values: dict[str, object] = {"at": now}
    if discipline is None:
        return Finding("clock", Level.WARN, "clock_unknown", values)
    if not discipline.synchronised:
        return Finding("clock", Level.WARN, "clock_alone", values)
    if discipline.error_s > CLOCK_ERROR_S:
        return Finding("clock", Level.WARN, "clock_off", values | {"error": discipline.error_s})
    return Finding("clock", Level.GOOD, "clock_good", values)


def _gigabytes(size_bytes: int) -> str:
    return f"{size_bytes / 1e9:.1f} GB"
