"""Tells mosquitto that the lists of revoked certificates have changed.

mosquitto 2.0.11 reads ``crlfile`` again on SIGHUP and refuses a revoked certificate from then on,
but leaves a connection alone that is open already: measured, and tested with the real one. A
restart ends those too; devices come back within seconds, and what was queued is kept on disk.
"""

from __future__ import annotations

import logging
import os
import signal
from dataclasses import dataclass
from pathlib import Path

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Broker:
    """The broker on this machine, as far as it is to be told."""

    pid_file: Path | None
    restart: bool = False
    """After a revocation end it, for its supervisor to start again."""

    def tell(self, *, revoked: bool) -> str | None:
        """Tell of a new list; return what was wrong, or None."""
        if self.pid_file is None:
            return None
        number = signal.SIGTERM if revoked and self.restart else signal.SIGHUP
        try:
            pid = int(self.pid_file.read_text())
            if pid <= 1:
                return f"{self.pid_file}: {pid} is no process of a broker"
            os.kill(pid, number)
        except (OSError, ValueError) as e:
            complaint = f"{self.pid_file}: {e}"
            log.error("broker not told of revoked certificates", extra={"reason": complaint})  # noqa: TRY400
            return complaint
        log.info("broker told of revoked certificates", extra={"signal": number.name})
        return None
