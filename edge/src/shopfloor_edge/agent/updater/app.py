"""Composition root of the updater: its thread in the agent, and what the command shares with it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import UTC, datetime, time
from functools import partial
from pathlib import Path
from zoneinfo import ZoneInfo

from shopfloor_contracts.ddi import ConfigData
from shopfloor_contracts.deltas import apply_delta
from shopfloor_contracts.site import SiteFile
from shopfloor_edge.agent.updater.campaigns import Campaigns
from shopfloor_edge.agent.updater.clock import LastKnownTime
from shopfloor_edge.agent.updater.desk import Desk
from shopfloor_edge.agent.updater.fit import board, machine, platform_name, software
from shopfloor_edge.agent.updater.http import Http
from shopfloor_edge.agent.updater.install import Device, Installer
from shopfloor_edge.agent.updater.os_images import OsHandler
from shopfloor_edge.agent.updater.parts import Limit, Parts
from shopfloor_edge.agent.updater.reports import Reports
from shopfloor_edge.agent.updater.repositories import WebRepository, read_root
from shopfloor_edge.agent.updater.selftest import application_test, runnable_targets, self_test
from shopfloor_edge.agent.updater.switching import Switching
from shopfloor_edge.agent.updater.trying import Trying
from shopfloor_edge.agent.updater.updater import Updater
from shopfloor_edge.errors import EdgeError, JournalError
from shopfloor_edge.identity.device import Identity
from shopfloor_edge.journal.alertbook import Verdicts, read_verdicts
from shopfloor_edge.journal.audits import AuditSums, read_audit_sums
from shopfloor_edge.journal.trials import Trials
from shopfloor_edge.slots.applications import find_home
from shopfloor_edge.slots.file import SlotsFile
from shopfloor_edge.slots.sealed import Seals
from shopfloor_edge.slots.store import Store

log = logging.getLogger(__name__)

RETRY_S = 30.0
"""After a fault of the disk."""


class UpdaterThread:
    """Runs the updater beside the agent's loop; its faults never stop the reports."""

    def __init__(self, site: SiteFile, state: Path) -> None:
        self._site, self._state = site, state
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="updater", daemon=True)

    def start(self) -> None:
        """Begin, where the site file sets a root of trust."""
        if self._site.updates.root_file is not None:
            self._thread.start()

    def stop(self, patience_s: float = 5.0) -> None:
        """End at the next point where that is possible; what is not done goes on next time."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(patience_s)

    def _run(self) -> None:
        updater: Updater | None = None
        while not self._stop.is_set():
            try:
                # SQLite's connections belong to the thread that made them.
                updater = updater or build_updater(self._site, self._state, self._stop.is_set)
                wait_s = updater.step()
            except (EdgeError, OSError) as e:
                log.warning("updater cannot go on, trying again", extra={"reason": str(e)})
                wait_s = RETRY_S
            except Exception:
                # The way out for figures must not end with a fault in here.
                log.exception("updater ended unexpectedly, starting again")
                updater, wait_s = None, RETRY_S
            self._stop.wait(wait_s)


def build_updater(site: SiteFile, state: Path, stopping: Callable[[], bool]) -> Updater:
    """Put the updater together.

    Raises:
        OperatorError: what the site file names cannot be read.
        JournalError: the state folder cannot be written.
    """
    spec = site.updates
    slots = SlotsFile(state)
    store = Store(slots.folder, Seals(site.identity))
    store.prepare()
    http = Http(spec.ca_file, identity=identity_of(site))
    trials = Trials(state)
    device = describe_device(site)
    clock = LastKnownTime(slots.folder / "clock", lambda: datetime.now(UTC))
    controller = f"{site.site}.{site.device}"
    url = spec.campaigns_url
    parts = Parts(
        campaigns=Campaigns(http, url, controller, spec.token_file) if url else None,
        repository=WebRepository(
            http, spec.registry_url or "", slots.folder, read_root(spec.root_file)
        ),
        installer=Installer(store, device, patch=apply_delta),
        store=store,
        slots=slots,
        switching=Switching(device.home, slots),
        os_handler=os_handler(site),
        trying=Trying(slots, trials, spec.shadow_agreement_min),
        desk=Desk(slots.folder / "job.json"),
        reports=Reports(trials, slots, partial(_heard, state), partial(_audited, state)),
        attributes=attributes(site, device.capabilities),
        now=clock.now,
        limit=Limit(
            spec.bytes_per_s,
            spec.reserve_bytes,
            spec.poll_min_s,
            spec.poll_max_s,
            window_of(spec.window, site.time_zone),
        ),
    )
    return Updater(parts, stopping=stopping)


def _heard(state: Path, from_at: datetime, to_at: datetime) -> Verdicts:
    """Return what staff said; nothing while the alert book cannot be read."""
    try:
        return read_verdicts(state, from_s=from_at.timestamp(), to_s=to_at.timestamp())
    except JournalError as e:
        log.debug("alert book not read", extra={"reason": str(e)})
        return Verdicts()


def _audited(state: Path, from_at: datetime, to_at: datetime) -> AuditSums:
    """Return what people found in clips; nothing while the journal cannot be read."""
    try:
        return read_audit_sums(state, from_s=from_at.timestamp(), to_s=to_at.timestamp())
    except JournalError as e:
        log.debug("audits not read", extra={"reason": str(e)})
        return AuditSums()


def identity_of(site: SiteFile) -> Identity | None:
    """Return the identity that updates are asked for with, where the device has one."""
    return None if site.identity.folder is None else Identity(site)


def describe_device(site: SiteFile) -> Device:
    """Return what updates must fit: asks a child process which builds can run."""
    options = ["--threads", str(site.model.threads), "--backend", site.model.backend]
    names = {*runnable_targets(options), machine(), board(), platform_name()}
    return Device(
        site,
        frozenset(name for name in names if name),
        lambda folder: self_test(folder, options),
        lambda venv, bundle: application_test(venv, site, bundle, options),
        home=find_home(),
        handles_os=site.updates.os_handler is not None,
    )


def os_handler(site: SiteFile) -> OsHandler | None:
    """Return what installs images of the OS, None where the site file names nothing."""
    spec = site.updates
    return OsHandler(spec.os_handler, tuple(spec.os_options)) if spec.os_handler else None


def attributes(site: SiteFile, capabilities: frozenset[str]) -> ConfigData:
    """Return what the campaigns' label queries see of this device."""
    return ConfigData(
        mode="replace",
        data={
            "site": site.site,
            "device": site.device,
            "software": software(),
            "machine": machine(),
            "board": board(),
            "hardware": board() or machine(),
            "capabilities": ",".join(sorted(capabilities)),
            "time-zone": site.time_zone,
            "bundle": site.model.bundle,
        },
    )


def window_of(text: str | None, time_zone: str) -> Callable[[datetime], bool]:
    """Return whether an instant lies in ``HH:MM-HH:MM`` of a time zone; always, without a text."""
    if text is None:
        return lambda _now: True
    begin, end = (time.fromisoformat(part) for part in text.split("-"))
    zone = ZoneInfo(time_zone)

    def is_open(now: datetime) -> bool:
        here = now.astimezone(zone).time()
        return begin <= here < end if begin < end else here >= begin or here < end

    return is_open
