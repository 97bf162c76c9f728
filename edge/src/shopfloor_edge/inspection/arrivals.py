"""Parts that came: a bounded queue between whoever triggers and the station's loop."""

from __future__ import annotations

import queue
import threading
from dataclasses import dataclass

MAX_WAITING = 64
"""A station that is this far behind is past every gate; a storm of triggers ends here."""


@dataclass(frozen=True, slots=True)
class Trigger:
    """A part is here."""

    at_s: float
    """``time.monotonic()`` when it was told."""
    number: int | None = None
    """The line's own, rising within a run; the station's where the line has none."""
    run: str = ""
    """Name of the line's count; a count that begins again has a new one."""
    product: str | None = None
    picture: str | None = None
    """Name of the picture's file, where pictures come as files."""


@dataclass(frozen=True, slots=True)
class Overflow:
    """Triggers for which there was no room, since it was asked last."""

    unnumbered: int = 0
    last: Trigger | None = None
    """The last one with a number: those before it are found as a gap."""

    @property
    def any(self) -> bool:
        """Whether there were any."""
        return bool(self.unnumbered) or self.last is not None


class TriggerQueue:
    """Any thread puts, one takes. When it is full the newest is dropped, and counted."""

    def __init__(self, size: int = MAX_WAITING) -> None:
        self._waiting: queue.Queue[Trigger] = queue.Queue(size)
        self._lock = threading.Lock()
        self._overflow = Overflow()

    def put(self, trigger: Trigger) -> None:
        """Add one, or count it as dropped; never blocks."""
        try:
            self._waiting.put_nowait(trigger)
        except queue.Full:
            with self._lock:
                before = self._overflow
                self._overflow = (
                    Overflow(before.unnumbered + 1, before.last)
                    if trigger.number is None
                    else Overflow(before.unnumbered, trigger)
                )

    @property
    def waiting(self) -> int:
        """Triggers that were not taken yet."""
        return self._waiting.qsize()

    @property
    def has_room(self) -> bool:
        """Whether one more would be kept."""
        return not self._waiting.full()

    def take(self, timeout_s: float) -> Trigger | None:
        """Return the oldest, or None when none came in time."""
        try:
            return self._waiting.get(timeout=timeout_s)
        except queue.Empty:
            return None

    def overflow(self) -> Overflow:
        """Return and forget what was dropped; nothing while older ones still wait."""
        if not self._waiting.empty():
            return Overflow()
        with self._lock:
            found, self._overflow = self._overflow, Overflow()
        return found
