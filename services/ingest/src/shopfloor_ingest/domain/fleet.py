"""What a fleet adds up to: devices and cameras per site. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from shopfloor_ingest.domain.devices import DeviceStatus

LATE_AFTER = timedelta(seconds=90)
"""Three heartbeats of the default 30 s: one lost message is no news."""

FORGOTTEN_AFTER = timedelta(days=30)
"""A device that was taken away is not offline for ever."""


class Presence(StrEnum):
    """How present a device is."""

    ONLINE = "online"
    LATE = "late"
    """Connected as far as the broker knows, yet without a heartbeat."""
    OFFLINE = "offline"


@dataclass(frozen=True, slots=True)
class DeviceFigures:
    """One device as it was last heard; ``cameras`` are counts by status."""

    site: str
    status: DeviceStatus
    last_seen_at: datetime
    cameras: Counter[str]
    outbox_rows: int = 0
    outbox_dropped: int = 0
    outbox_write_failures: int = 0


@dataclass(slots=True)
class SiteFigures:
    """Sums over the devices of one site, and the age of its most overdue heartbeat."""

    devices: Counter[str] = field(default_factory=Counter)
    cameras: Counter[str] = field(default_factory=Counter)
    heartbeat_age_s: float = 0.0
    outbox_rows: int = 0
    outbox_dropped: int = 0
    outbox_write_failures: int = 0


def presence_of(device: DeviceFigures, now: datetime) -> Presence:
    """Return how present ``device`` is at ``now``."""
    if device.status is DeviceStatus.OFFLINE:
        return Presence.OFFLINE
    return Presence.LATE if now - device.last_seen_at > LATE_AFTER else Presence.ONLINE


def add_up(devices: Iterable[DeviceFigures], now: datetime) -> dict[str, SiteFigures]:
    """Return the figures of every site, by name.

    The cameras of a device that is offline are not known: they count as ``unknown``, not as what
    its last heartbeat said.
    """
    sites: dict[str, SiteFigures] = {}
    for device in devices:
        age = now - device.last_seen_at
        if age > FORGOTTEN_AFTER:
            continue
        site = sites.setdefault(device.site, SiteFigures())
        presence = presence_of(device, now)
        site.devices[presence] += 1
        if presence is Presence.OFFLINE:
            site.cameras["unknown"] += device.cameras.total()
        else:
            site.cameras.update(device.cameras)
        site.heartbeat_age_s = max(site.heartbeat_age_s, age.total_seconds(), 0.0)
        site.outbox_rows += device.outbox_rows
        site.outbox_dropped += device.outbox_dropped
        site.outbox_write_failures += device.outbox_write_failures
    return sites
