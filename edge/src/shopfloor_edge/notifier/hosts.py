"""This process speaks to hosts that the site file names, and to no other.

A library may follow a redirect, a proxy's setting or a default of its own: the guard stands where
every name and address passes, in the interpreter's audit events, and cannot be taken off again.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterable

from shopfloor_edge.errors import EdgeError


class HostRefusedError(EdgeError, OSError):
    """A host was about to be spoken to that the site file does not name.

    An ``OSError`` too, so that a library takes it as a connection that cannot be made.
    """

    def __init__(self, host: str) -> None:
        super().__init__(f"{host}: not among the hosts of [notify]; nothing was sent")
        self.host = host


class HostGuard:
    """Refuses every name and address that is looked up and was not allowed."""

    def __init__(self, hosts: Iterable[str]) -> None:
        # smtplib looks this machine's own name up, for its greeting.
        known = (*hosts, socket.gethostname())
        self._hosts = frozenset(host.lower().rstrip(".") for host in known)
        self.refused: set[str] = set()

    def install(self) -> None:
        """Watch this process from now on, to its end."""
        sys.addaudithook(self._hear)

    def _hear(self, event: str, arguments: tuple[object, ...]) -> None:
        if event not in ("socket.getaddrinfo", "socket.gethostbyname"):
            return
        host = arguments[0]
        name = host.decode("ascii", "replace") if isinstance(host, bytes) else str(host)
        if name.lower().rstrip(".") not in self._hosts:
            self.refused.add(name)
            raise HostRefusedError(name)
