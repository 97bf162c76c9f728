"""Composition root of the agent: drains the outbox over MQTT, says how the device is."""

from __future__ import annotations

import contextlib
import logging
import queue
import signal
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

from shopfloor_contracts.batches import batch_topic, pack
from shopfloor_contracts.events import Event, Kind, encode
from shopfloor_contracts.site import SiteFile
from shopfloor_contracts.topics import ack_topic
from shopfloor_edge.agent.cadence import Cadence
from shopfloor_edge.agent.delivery import PUBLISH_BYTES, Batching, Delivery
from shopfloor_edge.agent.machine import Machine
from shopfloor_edge.agent.meter import UplinkMeter, kinds_that_wait
from shopfloor_edge.agent.presence import Presence
from shopfloor_edge.agent.updater.app import UpdaterThread
from shopfloor_edge.agent.uplink import Uplink
from shopfloor_edge.discipline import read_discipline
from shopfloor_edge.errors import JournalError
from shopfloor_edge.journal.outbox import Outbox
from shopfloor_edge.journal.state import read_state
from shopfloor_edge.watchdog import Watchdog

log = logging.getLogger(__name__)

POLL_S = 0.2
"""How long a committed event waits at most before it is sent."""
DRAIN_PATIENCE_S = 60.0


class Agent:
    """The loop around delivery and presence. One thread; the network has its own."""

    def __init__(self, site: SiteFile, state: Path) -> None:
        self._site, self._state = site, state
        self._outbox = Outbox(state, max_rows=site.outbox.max_rows, max_bytes=site.outbox.max_bytes)
        self._presence = Presence(site)
        self._uplink = Uplink(
            site.uplink,
            client_id=f"{site.site}/{site.device}",
            ack_topic=ack_topic(site.site, site.device),
        )
        self._meter = UplinkMeter()
        self._delivery = Delivery(
            self._outbox,
            self._uplink,
            site=site.site,
            device=site.device,
            batching=Batching(site.uplink.batch_s, site.uplink.batch_events),
            company=self._company,
            on_sent=self._meter.sent,
        )
        self._held: frozenset[Kind] | None = None
        self._today = ""
        self._started_s = time.monotonic()
        self._cadence = Cadence(site.uplink.heartbeat_s)
        self._born = False
        self._counted_bytes = 0
        self._journal_failed = False
        self._watchdog = Watchdog()

    def run(self, stop: threading.Event, *, drain: bool) -> int:
        """Work until stopped, or with ``drain`` until the outbox is empty and acknowledged.

        Raises:
            BrokerRefusedError: on the first connection; a later refusal is tried again.
        """
        self._uplink.last_will(self._presence.topic(Kind.DEATH), self._presence.last_will())
        self._uplink.open()
        try:
            while not stop.is_set():
                if self._uplink.refused is not None:
                    raise self._uplink.refused
                self._watchdog.alive(time.monotonic())
                self._step(time.monotonic(), flush=drain)
                if drain and self._is_drained():
                    return 0
                if drain and time.monotonic() - self._started_s > DRAIN_PATIENCE_S:
                    log.error("outbox not drained in time")
                    return 1
                self._uplink.woken.wait(POLL_S)
                self._uplink.woken.clear()
        finally:
            self._uplink.close(self._presence.topic(Kind.DEATH), self._presence.farewell())
            with contextlib.suppress(JournalError):
                self._count(0)
            self._outbox.close()
        return 0

    def _step(self, now_s: float, *, flush: bool) -> None:
        try:
            self._hear(now_s)
            if not self._uplink.connected.is_set():
                self._born = False
                return
            if not self._born:
                self._announce(now_s)
            self._count(self._delivery.pump(now_s, flush=flush))
            self._beat(now_s)
        except JournalError as e:
            if not self._journal_failed:
                log.warning("journal cannot be used, trying again", extra={"reason": str(e)})
            self._journal_failed = True
        else:
            self._journal_failed = False

    def _hear(self, now_s: float) -> None:
        """Take every acknowledgement that has come."""
        with contextlib.suppress(queue.Empty):
            while True:
                self._delivery.acknowledge(self._uplink.acks.get_nowait(), now_s)

    def _announce(self, now_s: float) -> None:
        topic = self._presence.topic(Kind.BIRTH)
        birth = self._presence.birth(self._outbox.position())
        self._born = self._uplink.say(topic, birth, retain=True)
        self._delivery.restart(now_s)
        self._cadence.begin(now_s)

    def _beat(self, now_s: float) -> None:
        if not self._cadence.is_due(now_s) and not self._lost_a_camera(now_s):
            return
        beat = self._heartbeat(now_s)
        if self._site.uplink.batch_s > 0:
            topic, payload = batch_topic(self._site.site, self._site.device), pack([beat])
        else:
            topic, payload = self._presence.topic(Kind.HEARTBEAT), encode(beat)
        if self._uplink.say(topic, payload, qos=0):
            self._meter.sent([beat], len(payload) + len(topic) + PUBLISH_BYTES)

    def _company(self) -> Event | None:
        """Return a heartbeat for a batch that leaves now, if one is nearly due."""
        now_s = time.monotonic()
        return self._heartbeat(now_s) if self._cadence.is_nearly_due(now_s) else None

    def _lost_a_camera(self, now_s: float) -> bool:
        """Say whether a camera was lost or came back since the last heartbeat."""
        if not self._cadence.wants_look(now_s):
            return False
        return self._cadence.is_news(read_state(self._state).cameras)

    def _heartbeat(self, now_s: float) -> Event:
        state = read_state(self._state)
        self._cadence.told(now_s, state.cameras)
        self._meter.video(state.cameras)
        health = Machine(self._state).health(state.cameras, read_discipline())
        uptime_s = now_s - self._started_s
        return self._presence.heartbeat(state, uptime_s=uptime_s, health=health)

    def _count(self, events: int) -> None:
        """Record what has left since the last time, and let kinds wait when it is much."""
        new_bytes = self._uplink.sent_bytes - self._counted_bytes
        if new_bytes or events:
            self._outbox.count_sent(events, new_bytes)
            self._counted_bytes += new_bytes
        used, today = self._meter.take(), datetime.now(UTC).date().isoformat()
        if used or self._today != today:
            self._today = today
            sent_bytes = self._outbox.count_used(today, used)
            self._keep_budget(sent_bytes)

    def _keep_budget(self, sent_bytes: int) -> None:
        wait = kinds_that_wait(sent_bytes, self._site.uplink.budget_bytes_per_day)
        if wait == self._held:
            return
        released = self._outbox.hold(wait)
        if wait or self._held:
            log.warning(
                "kinds that wait for the day's budget have changed",
                extra={"waiting": sorted(wait), "released": released, "sent_bytes": sent_bytes},
            )
        self._held = wait

    def _is_drained(self) -> bool:
        position = self._outbox.position()
        return self._born and not self._outbox.waiting(position.acked, 1)


def run_agent(site: SiteFile, state: Path, *, drain: bool) -> int:
    """Run until SIGTERM or SIGINT; return the exit code.

    Raises:
        OperatorError: the broker refuses this device, or its secrets cannot be read.
        JournalError: the state folder cannot be written at the start.
    """
    stop = threading.Event()
    agent = Agent(site, state)
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    signal.signal(signal.SIGINT, lambda *_: stop.set())
    log.info("agent started", extra={"site": site.site, "device": site.device})
    updater = UpdaterThread(site, state)
    if not drain:
        updater.start()
    try:
        return agent.run(stop, drain=drain)
    finally:
        updater.stop()
