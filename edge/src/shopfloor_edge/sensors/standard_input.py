"""Standard input that can be left: a read of a quiet pipe does not end by a signal."""

from __future__ import annotations

import queue
import threading
from typing import TextIO

AHEAD_LINES = 1000
"""Read ahead at most; the sender waits meanwhile."""
POLL_S = 0.2


class PatientInput:
    """Lines of a file, read by a thread of their own until ``stop``."""

    def __init__(self, file: TextIO, stop: threading.Event) -> None:
        self._file, self._stop = file, stop
        self._lines: queue.Queue[str] = queue.Queue(AHEAD_LINES)
        self._limit = -1
        self._thread: threading.Thread | None = None

    def readline(self, limit: int) -> str:
        """Return the next line, of ``limit`` characters at most; empty at the end or at a stop."""
        if self._thread is None:
            self._limit = limit
            self._thread = threading.Thread(target=self._read, name="stdin", daemon=True)
            self._thread.start()
        while not self._stop.is_set():
            try:
                return self._lines.get(timeout=POLL_S)
            except queue.Empty:
                continue
        return ""

    def _read(self) -> None:
        line = "."
        while line:
            line = self._file.readline(self._limit)
            self._lines.put(line)
