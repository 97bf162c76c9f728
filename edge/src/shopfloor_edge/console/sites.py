"""The site file that counts now: people change its geometry while the console runs."""

from __future__ import annotations

import threading
from pathlib import Path

from shopfloor_contracts.site import SiteFile
from shopfloor_edge.slots.file import SlotsFile
from shopfloor_edge.slots.site import active_site


class Sites:
    """Reads the slot's site file again when the slots have changed."""

    def __init__(self, provisioned: SiteFile, state: Path) -> None:
        self._provisioned, self._state = provisioned, state
        self._slots = SlotsFile(state).folder / "slots.json"
        self._lock = threading.Lock()
        self._stamp = self._stamped()
        self._current = active_site(provisioned, state)

    def current(self) -> SiteFile:
        """Return the site file."""
        stamp = self._stamped()
        with self._lock:
            if stamp != self._stamp:
                self._current = active_site(self._provisioned, self._state)
                self._stamp = stamp
            return self._current

    def _stamped(self) -> tuple[int, int] | None:
        try:
            found = self._slots.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_ino
