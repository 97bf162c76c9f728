"""The time for what expires, on a device whose clock may have no battery.

It is never earlier than it was before, so a clock in the past revives no expired metadata.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from shopfloor_edge.slots.durable import write_durably

log = logging.getLogger(__name__)

KEEP_EVERY = timedelta(minutes=10)


class LastKnownTime:
    """The machine's clock, bounded from below by what was seen before.

    Args:
        path: where the bound is kept.
        clock: the machine's.
    """

    def __init__(self, path: Path, clock: Callable[[], datetime]) -> None:
        self._path, self._clock = path, clock
        self._kept = self._read()

    def now(self) -> datetime:
        """Return the time, not before any that was returned earlier, across restarts too."""
        now = max(self._clock(), self._kept)
        if now - self._kept >= KEEP_EVERY:
            try:
                write_durably(self._path, now.isoformat().encode())
            except OSError as e:
                log.warning("time not kept", extra={"reason": str(e)})
            self._kept = now
        return now

    def _read(self) -> datetime:
        with contextlib.suppress(OSError, ValueError):
            found = datetime.fromisoformat(self._path.read_text())
            if found.tzinfo is not None:
                return found
        return datetime.min.replace(tzinfo=UTC)
