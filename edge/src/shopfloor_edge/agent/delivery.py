"""From the outbox to the cloud: what is sent when, and what an acknowledgement allows."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from shopfloor_contracts.acks import Ack
from shopfloor_contracts.batches import FULL_RAW_BYTES, batch_topic, pack
from shopfloor_contracts.events import Event, Kind, encode
from shopfloor_contracts.topics import EventTopic
from shopfloor_edge.journal.outbox import Outbox, Waiting

log = logging.getLogger(__name__)

WINDOW = 500
"""Events on their way at once: bounds memory, covers a second of the fastest broker."""
ACK_PATIENCE_S = 10.0
"""Nothing acknowledged for so long although events are on their way: send them again."""


PUBLISH_BYTES = 8
"""MQTT 5 §3.3: fixed header, topic length, packet id and no properties."""


@dataclass(frozen=True, slots=True)
class Batching:
    """How long and how many events wait for each other."""

    wait_s: float = 0.0
    """0: each event goes alone and at once."""
    max_events: int = 200


class Sender(Protocol):
    """The way out."""

    def say(self, topic: str, payload: bytes, *, retain: bool = False, qos: int = 1) -> bool:
        """Send one message; False when there is no connection."""
        ...


class Delivery:
    """Sends what waits, in order; deletes what is acknowledged. Knows no thread and no clock.

    An alert goes at once and alone, right behind the events that waited before it: the cloud
    acknowledges a stream without gaps, so nothing overtakes. What was not acknowledged in time
    goes again event by event: its batch may be what the cloud does not understand.
    """

    def __init__(  # noqa: PLR0913 — one device's whole way out
        self,
        outbox: Outbox,
        sender: Sender,
        *,
        site: str,
        device: str,
        batching: Batching | None = None,
        company: Callable[[], Event | None] | None = None,
        on_sent: Callable[[list[Event], int], None] | None = None,
    ) -> None:
        self._outbox, self._sender = outbox, sender
        self._site, self._device = site, device
        self._batching = batching or Batching()
        self._company = company or _nobody
        self._on_sent = on_sent or _unmetered
        position = outbox.position()
        self._stream, self._acked = position.stream, position.acked
        self._sent = position.acked
        self._highest_sent = position.acked
        self._alone_up_to = position.acked
        self._due_at_s: float | None = None
        self._progress_at_s = 0.0
        self._cloud_at = position.acked
        self._asks_where_the_cloud_is = True

    @property
    def on_the_way(self) -> int:
        """Sequences sent and not acknowledged."""
        return self._sent - self._acked

    def restart(self, now_s: float) -> None:
        """Begin again behind the last acknowledgement: the connection is new."""
        self._sent, self._progress_at_s = self._acked, now_s
        self._due_at_s = now_s
        self._asks_where_the_cloud_is = True

    def pump(self, now_s: float, *, flush: bool = False) -> int:
        """Send what is due and fits into the window; return how many events that were.

        Args:
            flush: let nothing wait for company.
        """
        if self.on_the_way > 0 and now_s - self._progress_at_s > ACK_PATIENCE_S:
            log.info("not acknowledged in time, sending again", extra={"events": self.on_the_way})
            self._alone_up_to = self._highest_sent
            self.restart(now_s)
        if not (self._is_due(now_s) or flush):
            return 0
        room = max(0, WINDOW - self.on_the_way)
        sent = 0
        group: list[Waiting] = []
        size = 0
        for waiting in self._outbox.waiting(self._sent, room):
            size += len(encode(waiting.event)) if self._batching.wait_s else 0
            if self._goes_alone(waiting):
                if not (self._say(group, now_s) and self._say([waiting], now_s)):
                    return sent
                sent, group, size = sent + len(group) + 1, [], 0
                continue
            group.append(waiting)
            if len(group) >= self._batching.max_events or size >= FULL_RAW_BYTES:
                if not self._say(group, now_s):
                    return sent
                sent, group, size = sent + len(group), [], 0
        return sent + len(group) if self._say(group, now_s) else sent

    def _is_due(self, now_s: float) -> bool:
        """Return whether what waits has waited for company long enough."""
        backlog = self._outbox.backlog(self._sent)
        if backlog.rows == 0:
            self._due_at_s = None
            return False
        if self._due_at_s is None:
            self._due_at_s = now_s + self._batching.wait_s
        return (
            now_s >= self._due_at_s
            or backlog.has_alert
            or backlog.rows >= self._batching.max_events
            or backlog.bytes >= FULL_RAW_BYTES
        )

    def _goes_alone(self, waiting: Waiting) -> bool:
        return (
            self._batching.wait_s == 0
            or waiting.kind is Kind.ALERT
            or waiting.seq <= self._alone_up_to
        )

    def _say(self, group: list[Waiting], now_s: float) -> bool:
        """Send one message; False when it could not be handed over."""
        if not group:
            return True
        events = [self._linked(waiting.event) for waiting in group]
        if self._goes_alone(group[0]):
            topic, payload = (
                str(EventTopic(self._site, self._device, group[0].kind)),
                encode(events[0]),
            )
        else:
            companion = self._company()
            events += [] if companion is None else [companion]
            topic, payload = batch_topic(self._site, self._device), pack(events)
        if not self._sender.say(topic, payload):
            return False
        if self.on_the_way == 0:
            self._progress_at_s = now_s
        self._sent = group[-1].seq
        self._highest_sent = max(self._highest_sent, self._sent)
        self._due_at_s = None
        self._on_sent(events, len(payload) + len(topic) + PUBLISH_BYTES)
        return True

    def acknowledge(self, ack: Ack, now_s: float) -> int:
        """Delete what the cloud has stored; return how many events that were.

        An acknowledgement of another outbox or of what was never sent is ignored: believing
        it would lose events.
        """
        if ack.stream != self._stream:
            return 0
        if self._asks_where_the_cloud_is:
            self._hear_position(ack.up_to)
        if ack.up_to <= self._acked:
            return 0
        if ack.up_to > self._highest_sent:
            log.warning(
                "acknowledgement of events never sent is ignored",
                extra={"up_to": ack.up_to, "sent": self._highest_sent},
            )
            return 0
        deleted = self._outbox.acknowledge(ack.up_to)
        self._acked = self._cloud_at = ack.up_to
        self._sent = max(self._sent, ack.up_to)
        self._progress_at_s = now_s
        return deleted

    def _hear_position(self, up_to: int) -> None:
        """Take the first acknowledgement of a connection, the cloud's answer to the birth.

        A cloud that stands behind what it once acknowledged was restored from a backup. What
        is gone from the outbox cannot be sent again; saying so lets the cloud go on.
        """
        self._asks_where_the_cloud_is = False
        self._cloud_at = min(up_to, self._acked)
        if self._cloud_at < self._acked:
            log.warning(
                "the cloud has lost events that it had acknowledged",
                extra={"acknowledged": self._acked, "cloud": up_to},
            )
            self._sent = self._acked

    def _linked(self, event: Event) -> Event:
        """Chain the first event that waits to where the cloud stands."""
        if event.prevseq == self._acked and self._cloud_at < self._acked:
            return event.model_copy(update={"prevseq": self._cloud_at})
        return event


def _nobody() -> None:
    return None


def _unmetered(_events: list[Event], _wire_bytes: int) -> None:
    return None
