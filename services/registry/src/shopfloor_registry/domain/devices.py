"""Devices of the fleet as the registry knows them, and groups of them. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class DeviceRecord:
    """A device: what it is, what it should run and what it says it runs.

    ``desired`` and ``reported`` are digests of archives by what they are for, such as ``model``.
    """

    site: str
    device: str
    hardware: str
    capabilities: tuple[str, ...]
    labels: dict[str, str]
    desired: dict[str, str]
    reported: dict[str, str]
    last_seen_at: datetime | None

    def facts(self) -> dict[str, str]:
        """Return what a query can ask for: labels, and what every device has."""
        own = {"site": self.site, "device": self.device}
        return self.labels | own | ({"hardware": self.hardware} if self.hardware else {})


@dataclass(frozen=True, slots=True)
class GroupRecord:
    """A query with a name; who belongs to it is asked for each time."""

    name: str
    query: str
    made_by: str
    made_at: datetime
