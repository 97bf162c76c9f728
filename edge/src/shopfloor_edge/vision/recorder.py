"""Vision's pen: commits aggregates, and holds them in memory while the disk refuses."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

from shopfloor_edge.errors import JournalError
from shopfloor_edge.journal.outbox import Draft, Outbox
from shopfloor_edge.journal.state import CameraRow, StateWriter

log = logging.getLogger(__name__)

HELD_MAX = 20_000
"""Drafts held while the disk refuses: a week of one camera's minutes, about 20 MB."""
RETRY_S = 5.0


class Recorder:
    """Never raises while the process runs: a full disk must not stop the counting.

    Raises:
        JournalError: at the start only, when the journal cannot be opened at all.
    """

    def __init__(
        self, folder: Path, *, max_rows: int, max_bytes: int, clock: Callable[[], float]
    ) -> None:
        self._outbox = Outbox(folder, max_rows=max_rows, max_bytes=max_bytes)
        self._state = StateWriter(folder)
        self._held: deque[Draft] = deque(maxlen=HELD_MAX)
        self._failures = 0
        self._retry_at_s = 0.0
        self._clock = clock
        self.committed = 0

    def record(self, drafts: Sequence[Draft]) -> None:
        """Commit the drafts together with those that wait for the disk."""
        overflow = len(self._held) + len(drafts) - HELD_MAX
        if overflow > 0:
            log.error("outbox full in memory, oldest events lost", extra={"events": overflow})
        self._held.extend(drafts)
        self._flush()

    def describe(self, rows: Sequence[CameraRow]) -> None:
        """Publish the cameras' state for other processes; try held events again."""
        self._flush()
        try:
            self._state.write(rows)
        except JournalError as e:
            log.debug("camera state not written", extra={"reason": str(e)})

    def close(self) -> int:
        """Try once more and close; return how many events could not be kept."""
        self._retry_at_s = 0.0
        self._flush()
        if self._held:
            log.error("events lost at stop", extra={"events": len(self._held)})
        self._state.close()
        self._outbox.close()
        return len(self._held)

    def _flush(self) -> None:
        if not self._held or self._clock() < self._retry_at_s:
            return
        try:
            dropped = self._outbox.commit(list(self._held))
        except JournalError as e:
            if self._failures == 0:
                log.warning(
                    "outbox cannot be written, events are held in memory",
                    extra={
                        "reason": str(e),
                        "held": len(self._held),
                    },
                )
            self._failures += 1
            self._retry_at_s = self._clock() + RETRY_S
            return
        self.committed += len(self._held)
        self._held.clear()
        if dropped:
            log.warning("outbox is full, oldest events dropped", extra={"dropped": dropped})
        if self._failures:
            log.info("outbox can be written again", extra={"failures": self._failures})
            self._outbox.count_failures(self._failures)
            self._failures = 0
