"""From the outbox to the cloud: what is sent when, and what an acknowledgement allows."""

from __future__ import annotations

import logging
from typing import Protocol

from shopfloor_contracts.acks import Ack
from shopfloor_contracts.events import Event, encode
from shopfloor_contracts.topics import EventTopic
from shopfloor_edge.journal.outbox import Outbox

log = logging.getLogger(__name__)

WINDOW = 500
"""Events on their way at once: bounds memory, covers a second of the fastest broker."""
ACK_PATIENCE_S = 10.0
"""Nothing acknowledged for so long although events are on their way: send them again."""


class Sender(Protocol):
    """The way out."""

    def say(self, topic: str, payload: bytes, *, retain: bool = False, qos: int = 1) -> bool:
        """Send one message; False when there is no connection."""
        ...


class Delivery:
    """Sends what waits, in order; deletes what is acknowledged. Knows no thread and no clock."""

    def __init__(self, outbox: Outbox, sender: Sender, *, site: str, device: str) -> None:
        self._outbox, self._sender = outbox, sender
        self._site, self._device = site, device
        position = outbox.position()
        self._stream, self._acked = position.stream, position.acked
        self._sent = position.acked
        self._highest_sent = position.acked
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
        self._asks_where_the_cloud_is = True

    def pump(self, now_s: float) -> int:
        """Send what fits into the window; return how many events that were."""
        if self.on_the_way > 0 and now_s - self._progress_at_s > ACK_PATIENCE_S:
            log.info("not acknowledged in time, sending again", extra={"events": self.on_the_way})
            self.restart(now_s)
        room = WINDOW - self.on_the_way
        sent = 0
        for waiting in self._outbox.waiting(self._sent, max(0, room)):
            topic = EventTopic(self._site, self._device, waiting.kind)
            if not self._sender.say(str(topic), encode(self._linked(waiting.event))):
                break
            if self.on_the_way == 0:
                self._progress_at_s = now_s
            self._sent = waiting.seq
            self._highest_sent = max(self._highest_sent, waiting.seq)
            sent += 1
        return sent

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
