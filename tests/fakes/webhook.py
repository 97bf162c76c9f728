"""Whoever Alertmanager tells: keeps each alert with the moment at which it came."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer


@dataclass(frozen=True, slots=True)
class Told:
    path: str
    alert: str
    site: str
    status: str
    at_s: float


class Webhook:
    """An HTTP server on a free loopback port, while it is used as a context manager."""

    def __init__(self) -> None:
        self._told: list[Told] = []
        self._news = threading.Condition()
        webhook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                at_s = time.monotonic()
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(200)
                self.end_headers()
                webhook._take(self.path, body["alerts"], at_s)

            def log_message(self, *_args) -> None:
                pass

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def wait_for(self, alert: str, *, site: str, within_s: float) -> Told | None:
        """Return the first word on that alert of that site, or None when there is none in time."""

        def found() -> Told | None:
            return next((t for t in self._told if (t.alert, t.site) == (alert, site)), None)

        with self._news:
            return self._news.wait_for(found, timeout=within_s)

    def heard(self, alert: str) -> list[Told]:
        with self._news:
            return [told for told in self._told if told.alert == alert]

    def _take(self, path: str, alerts, at_s: float) -> None:
        with self._news:
            for alert in alerts:
                labels = alert["labels"]
                said = labels["alertname"], labels.get("site", ""), alert["status"]
                self._told.append(Told(path, *said, at_s))
            self._news.notify_all()

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_error) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
