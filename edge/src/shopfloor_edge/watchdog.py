"""Tells systemd that a process lives (sd_notify(3)); does nothing where no systemd asks for it."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Mapping


class Watchdog:
    """Sends ``WATCHDOG=1``, at most four times in the interval that systemd waits."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        address = environment.get("NOTIFY_SOCKET", "")
        # Abstract sockets begin with a zero byte, which the environment shows as "@".
        self._address = "\0" + address[1:] if address.startswith("@") else address
        interval = environment.get("WATCHDOG_USEC", "")
        self._every_s = int(interval) / 4e6 if interval.isdigit() else 0.0
        self._told_s = float("-inf")

    def alive(self, now_s: float) -> None:
        """Say so if it is due; ``now_s`` is of a monotonic clock.

        A socket that does not take it is no reason to stop working: systemd decides then.
        """
        if not self._address or not self._every_s or now_s - self._told_s < self._every_s:
            return
        self._told_s = now_s
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as pipe:
            pipe.settimeout(0.0)
            pipe.sendto(b"WATCHDOG=1", self._address)
