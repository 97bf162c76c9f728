"""What the updater is made of, and the limits of its site."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from shopfloor_contracts.ddi import ConfigData
from shopfloor_edge.agent.updater.campaigns import Campaigns
from shopfloor_edge.agent.updater.desk import Desk
from shopfloor_edge.agent.updater.install import Installer, Repository
from shopfloor_edge.agent.updater.os_images import OsHandler
from shopfloor_edge.agent.updater.reports import Reports
from shopfloor_edge.agent.updater.switching import Switching
from shopfloor_edge.agent.updater.trying import Trying
from shopfloor_edge.slots.file import SlotsFile
from shopfloor_edge.slots.store import Store


@dataclass(frozen=True, slots=True)
class Limit:
    """What the site file allows."""

    bytes_per_s: int | None
    reserve_bytes: int
    poll_min_s: float
    poll_max_s: float
    is_open: Callable[[datetime], bool]
    """Whether the window for downloads is open."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What the updater is made of."""

    campaigns: Campaigns | None
    """None where updates come on a stick only."""
    repository: Repository
    installer: Installer
    store: Store
    slots: SlotsFile
    switching: Switching
    os_handler: OsHandler | None
    trying: Trying
    desk: Desk
    reports: Reports
    attributes: ConfigData
    now: Callable[[], datetime]
    limit: Limit
