"""Who carries notices: an ntfy server and a mail server on loopback, with what they got."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

PATIENCE_S = 20.0


class Letters:
    """What came in, in order; waited for."""

    def __init__(self) -> None:
        self._all: list[Any] = []
        self._news = threading.Condition()
        self.status = 200
        """What is answered from now on, where the server speaks HTTP."""
        self.location = ""

    def add(self, letter: Any) -> None:
        with self._news:
            self._all.append(letter)
            self._news.notify_all()

    def wait(self, count: int) -> list[Any]:
        with self._news:
            assert self._news.wait_for(lambda: len(self._all) >= count, PATIENCE_S), self._all
            return list(self._all)

    @property
    def now(self) -> list[Any]:
        with self._news:
            return list(self._all)


@contextmanager
def http_server() -> Iterator[tuple[int, Letters]]:
    """Take every POST; letters are ``(path, headers, body)``."""
    letters = Letters()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            letters.add((self.path, dict(self.headers), body))
            self.send_response(letters.status)
            if letters.location:
                self.send_header("Location", letters.location)
            answer = json.dumps({"id": "x", "event": "message"}).encode()
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_args) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    with _served(server):
        yield server.server_address[1], letters


@contextmanager
def smtp_server() -> Iterator[tuple[int, Letters]]:
    """Take every mail (RFC 5321, as far as a client needs it); letters are their text."""
    letters = Letters()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self._say("220 here")
            for line in self.rfile:
                verb = line.split()[0].upper() if line.split() else b""
                if verb == b"DATA":
                    self._say("354 go on")
                    lines = iter(self.rfile.readline, b".\r\n")
                    letters.add(b"".join(lines).decode())
                self._say("221 bye" if verb == b"QUIT" else "250 ok")
                if verb == b"QUIT":
                    return

        def _say(self, text: str) -> None:
            self.wfile.write(f"{text}\r\n".encode())

    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    with _served(server):
        yield server.server_address[1], letters


@contextmanager
def _served(server: socketserver.TCPServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
