"""What a poll needs to know of each device, kept in memory: most polls ask no database.

Right only while one process writes to a database (``adapters/sole.py`` sees to that).
"""

from __future__ import annotations

import threading
from typing import Any

from sqlalchemy import Engine, Row

from shopfloor_campaigns.adapters.devices import poll_row

MOST = 100_000
"""Devices that are remembered; about 1 kB each. With more, all are forgotten and read again."""


class Doors:
    """Devices' token digests and open actions; a change forgets its device when it is committed."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._rows: dict[str, Row[Any]] = {}
        self._age = 0
        self._stale: set[str] = set()

    def known(self, device: str) -> Row[Any] | None:
        """Return what is remembered."""
        return self._rows.get(device)

    def look(self, reader: Engine, device: str) -> Row[Any] | None:
        """Read a device, and remember it; unknown names are not remembered."""
        with self._lock:
            age = self._age
        with reader.connect() as connection:
            row = poll_row(connection, device)
        with self._lock:
            # A commit between our read and now may have changed what we read.
            if row is not None and age == self._age:
                if len(self._rows) >= self._most:
                    self._rows.clear()
                self._rows[device] = row
        return row

    def change(self, device: str) -> None:
        """Note, in the writer's transaction, that it changes this device."""
        self._stale.add(device)

    def settle(self) -> None:
        """Forget what the transaction changed; called when it has ended, in either way."""
        if not self._stale:
            return
        with self._lock:
            self._age += 1
            for device in self._stale:
                self._rows.pop(device, None)
        self._stale.clear()
