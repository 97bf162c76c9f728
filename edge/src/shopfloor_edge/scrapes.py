"""A process's metrics, answered to Prometheus on this device's loopback and nowhere else."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from wsgiref.simple_server import WSGIServer

from prometheus_client import CollectorRegistry, start_http_server

from shopfloor_edge.errors import MetricsPortError

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class MetricsServer:
    """A running server; close it before the process ends."""

    _server: WSGIServer
    _thread: threading.Thread

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.server_port)

    def close(self) -> None:
        """Stop answering and free the port."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5.0)


def serve(registry: CollectorRegistry, port: int) -> MetricsServer:
    """Answer scrapes in a thread of its own.

    Raises:
        MetricsPortError: another process has the port.
    """
    try:
        server, thread = start_http_server(port, addr=LOOPBACK, registry=registry)
    except OSError as e:
        raise MetricsPortError(LOOPBACK, port, e.strerror or str(e)) from e
    return MetricsServer(server, thread)
