"""Follows the alert book in a thread: tells pages, wakes, escalates, commits what was tapped."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from shopfloor_contracts.console import ConsoleSpec
from shopfloor_contracts.feedback import FeedbackAction
from shopfloor_edge.console.deeds import Deeds
from shopfloor_edge.console.hours import is_quiet
from shopfloor_edge.console.live import Live
from shopfloor_edge.console.standing import Standings
from shopfloor_edge.errors import EdgeError
from shopfloor_edge.journal.alertbook import AlertBook
from shopfloor_edge.journal.alerts import AlertRow
from shopfloor_edge.journal.state import read_state

log = logging.getLogger(__name__)

LOOK_S = 0.25
CHORES_EVERY = 4
"""Looks between two rounds of what is not urgent."""
BLIND_S = 20.0
"""Vision has not written for so long: nobody watches."""
STALE_S = 5.0
"""Without a look for so long the pages are told nothing, and so say that they are not live."""
ANNOUNCED_MAX = 20_000
NEW_MAX = 20
"""Alerts that are named at once; more are counted."""


class Watcher:
    """One per process; started with the server's event loop."""

    def __init__(  # noqa: PLR0913 — it is where the parts meet
        self,
        book: AlertBook,
        deeds: Deeds,
        standings: Standings,
        *,
        state: Path,
        live: Live,
        spec: Callable[[], ConsoleSpec],
        local: Callable[[], datetime],
    ) -> None:
        self._book, self._deeds, self._standings = book, deeds, standings
        self._state = state
        self._live, self._spec, self._local = live, spec, local
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watcher", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._failing = False
        self._looked_s = time.monotonic()
        self._announced: OrderedDict[tuple[str, float], None] = OrderedDict()
        self._cursor, self._version = 0, -1
        self._blind: datetime | None = None
        self._told_blind: datetime | None = None

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin."""
        self._loop, self._looked_s = loop, time.monotonic()
        self._thread.start()

    def stop(self) -> None:
        """End, and wait for the thread."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=5)

    @property
    def alive(self) -> bool:
        """Whether alerts are followed now: where they are not, no page may look live."""
        return not self._stop.is_set() and time.monotonic() - self._looked_s < STALE_S

    def first(self) -> dict[str, object]:
        """Return what a page is told when it begins to listen."""
        return self._message([])

    def quiet(self) -> bool:
        """Say whether nothing may sound now."""
        return is_quiet(self._spec().quiet, self._local().time())

    def blind_since(self) -> datetime | None:
        """Return since when no camera is watched; None while vision runs.

        Raises:
            JournalError: ``state.db`` cannot be read now.
        """
        now_s = self._local().timestamp()
        # Vision writes each second; a page with no alert says nothing good while it does not.
        rows = read_state(self._state).cameras
        last_s = max((row.updated_at for row in rows), default=0.0)
        if now_s - last_s < BLIND_S:
            return None
        return datetime.fromtimestamp(last_s, UTC)

    def _run(self) -> None:
        self._guarded(self._begin)
        looks = 0
        while not self._stop.wait(LOOK_S):
            looks += 1
            if looks % CHORES_EVERY == 0:
                self._guarded(self._chores)
            if self._guarded(self._look):
                self._looked_s = time.monotonic()

    def _begin(self) -> None:
        self._blind = self._told_blind = self.blind_since()
        self._cursor = self._book.cursor()

    def _look(self) -> None:
        cursor, version = self._book.cursor(), self._deeds.version
        blind = self._blind
        if (cursor, version, blind) == (self._cursor, self._version, self._told_blind):
            return
        self._told_blind = blind
        changed = self._standings.raised_since(self._cursor)
        self._cursor, self._version = cursor, version
        pending = self._deeds.pending()
        new = [
            {"id": row.alert_id, "severity": str(row.severity), "escalated": bool(row.escalated_at)}
            for row in changed
            if row.alert_id not in pending and self._is_news(row)
        ]
        message = self._message(new[:NEW_MAX])
        if self._loop is not None and not self._stop.is_set():
            self._loop.call_soon_threadsafe(self._live.tell, "alerts", message)

    def _is_news(self, row: AlertRow) -> bool:
        # A clip that is ready changes an alert too, and must not sound again.
        key = (row.alert_id, row.at)
        known = key in self._announced
        self._announced[key] = None
        while len(self._announced) > ANNOUNCED_MAX:
            self._announced.popitem(last=False)
        return not known

    def _chores(self) -> None:
        now_s = self._local().timestamp()
        self._blind = self.blind_since()
        self._deeds.settle()
        self._book.wake(now_s)
        for row in self._standings.unattended(now_s - self._spec().escalate_s):
            self._book.act(row.alert_id, FeedbackAction.ESCALATED, by="", at=now_s)

    def _message(self, new: list[dict[str, object]]) -> dict[str, object]:
        counts = self._standings.counts()
        return {"open": counts.open, "critical": counts.critical, "new": new, "quiet": self.quiet()}

    def _guarded(self, step: Callable[[], None]) -> bool:
        """Run a step; return whether it ended well."""
        try:
            step()
        except EdgeError as e:
            # A full disk lasts: it is told once, and tried again.
            if not self._failing:
                log.warning("alerts cannot be followed now", extra={"reason": str(e)})
            self._failing = True
            return False
        except Exception:
            # The outermost loop of the thread: whatever it is, the next alert wants to be told.
            log.exception("a look at the alerts ended badly")
            return False
        self._failing = False
        return True
