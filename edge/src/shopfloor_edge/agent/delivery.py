"""From the outbox to the cloud: what is sent when, and what an acknowledgement allows."""

from __future__ import annotations

import logging
from typing import Protocol

from shopfloor_contracts.acks import Ack
from shopfloor_contracts.events import encode
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

    @property
    def on_the_way(self) -> int:
        """Sequences sent and not acknowledged."""
        return self._sent - self._acked

    def restart(self, now_s: float) -> None:
        """Begin again behind the last acknowledgement: the connection is new."""
        self._sent, self._progress_at_s = self._acked, now_s

    def pump(self, now_s: float) -> int:
        """Send what fits into the window; return how many events that were."""
        if self.on_the_way > 0 and now_s - self._progress_at_s > ACK_PATIENCE_S:
            log.info("not acknowledged in time, sending again", extra={"events": self.on_the_way})
            self.restart(now_s)
        room = WINDOW - self.on_the_way
        sent = 0
        for waiting in self._outbox.waiting(self._sent, max(0, room)):
            topic = EventTopic(self._site, self._device, waiting.kind)
            if not self._sender.say(str(topic), encode(waiting.event)):
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
        if ack.stream != self._stream or ack.up_to <= self._acked:
            return 0
        if ack.up_to > self._highest_sent:
            log.warning(
                "acknowledgement of events never sent is ignored",
                extra={"up_to": ack.up_to, "sent": self._highest_sent},
            )
            return 0
        deleted = self._outbox.acknowledge(ack.up_to)
        self._acked = ack.up_to
        self._sent = max(self._sent, ack.up_to)
        self._progress_at_s = now_s
        return deleted
