"""Composition root of ``shopfloor-edge notify``."""

from __future__ import annotations

import logging
import signal
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from zoneinfo import ZoneInfo

from shopfloor_contracts.site import SiteFile
from shopfloor_edge.errors import JournalError, OperatorError
from shopfloor_edge.journal.alertbook import AlertBook
from shopfloor_edge.notifier.desk import Desk, Lane
from shopfloor_edge.notifier.home_assistant import HomeAssistant, states_of
from shopfloor_edge.notifier.hosts import HostGuard
from shopfloor_edge.notifier.messages import MessageChannel
from shopfloor_edge.notifier.queue import NoticeQueue
from shopfloor_edge.notifier.texts import Writer
from shopfloor_edge.notifier.web_push import WebPushChannel
from shopfloor_edge.watchdog import Watchdog

log = logging.getLogger(__name__)

TICK_S = 0.5
SHOWN_ALERTS = 1000
WEB_PUSH = "web push"
"""No target of the site file can have this name: it has a space."""


@dataclass(slots=True)
class Parts:
    """What one run holds, and closes."""

    desk: Desk
    home: HomeAssistant | None
    push: WebPushChannel | None
    guard: HostGuard


def run_notify(site: SiteFile, state: Path) -> int:
    """Tell people about alerts until SIGTERM; return the exit code.

    Raises:
        OperatorError: nobody is to be told, or a target cannot be used as it is written.
        JournalError: the state folder cannot be written at the start.
    """
    if not site.notify.is_on:
        raise OperatorError("[notify] names nobody; add a [[notify.targets]], or stop this process")
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    signal.signal(signal.SIGINT, lambda *_: stop.set())
    parts = _build(site, state)
    log.info("notifier started", extra={"hosts": sorted(site.notify.hosts)})
    try:
        _loop(parts, stop)
    finally:
        if parts.home is not None:
            parts.home.close()
        if parts.push is not None:
            parts.push.close()
        parts.desk.queue.close()
        parts.desk.book.close()
    log.info("notifier stopped", extra={"refused_hosts": sorted(parts.guard.refused)})
    return 0


def _build(site: SiteFile, state: Path) -> Parts:
    spec = site.notify
    guard = HostGuard(spec.hosts)
    guard.install()
    lanes = [Lane(t.name, t.severity, MessageChannel(t)) for t in spec.targets]
    push = WebPushChannel(spec.web_push, state) if spec.web_push else None
    if spec.web_push is not None and push is not None:
        lanes.append(Lane(WEB_PUSH, spec.web_push.severity, push))
    home = HomeAssistant(site, spec.home_assistant) if spec.home_assistant else None
    language = site.console.languages[0]
    writer = Writer(site.site, language, ZoneInfo(site.time_zone), spec.console_url or "")
    book = AlertBook(state, limits=site.outbox)
    desk = Desk(site, book, NoticeQueue(state, max_waiting=spec.max_waiting), writer, lanes)
    if home is not None:
        home.open()
    return Parts(desk, home, push, guard)


def _loop(parts: Parts, stop: threading.Event) -> None:
    told, watchdog = "", Watchdog()
    while not stop.wait(TICK_S):
        watchdog.alive(time.monotonic())
        try:
            parts.desk.step(time.time())
            if parts.home is not None:
                open_now = parts.desk.book.open(SHOWN_ALERTS)
                parts.home.show(states_of(parts.desk.site, open_now))
            told = ""
        except JournalError as e:
            # The disk may be full for a while: alerts are still on it, or in vision's memory.
            if str(e) != told:
                log.warning("alerts cannot be read now", extra={"reason": str(e)})
            told = str(e)
