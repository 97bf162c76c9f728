"""A console over a state folder on a free port, and people who are signed in to it."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import httpx
import uvicorn

from shopfloor_contracts.site import SiteFile, parse_site
from shopfloor_edge.console.app import Server, build_app, build_desk
from shopfloor_edge.console.people import Entry, Role
from shopfloor_edge.console.pins import hash_pin

PIN = "493027"
PEOPLE = {"Ana": Role.STAFF, "Ben": Role.MANAGER, "Ines": Role.INSTALLER}
SITE = """
site = "store-1"
device = "door"
time_zone = "Europe/Berlin"

[[cameras]]
name = "entrance"
uri = "entrance.mp4"
lines = [{ name = "door", a = [0.2, 0.7], b = [0.8, 0.7] }]

[[cameras.zones]]
name = "till"
polygon = [[0.1, 0.4], [0.6, 0.4], [0.6, 0.9], [0.1, 0.9]]
analytics = ["occupancy", "queue"]


[[cameras]]
name = "aisle"
uri = "aisle.mp4"
slots = [{ name = "milk", box = [0.2, 0.2, 0.3, 0.4], expects = "bottle" }]

[[rules]]
name = "long-queue"
camera = "entrance"
metric = "queue-length"
zone = "till"
above = 4
severity = "critical"
"""
_PIN_HASH = hash_pin(PIN)


class ConsoleSite:
    """The real application behind a real server, in a thread.

    Args:
        state: state folder; the staff file is written into it.
        clock: of sessions, lock-out and pages.
    """

    def __init__(
        self,
        state: Path,
        site: SiteFile | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._clients: list[httpx.Client] = []
        self.site = site or parse_site(SITE, source="tests")
        self.state = state
        self.desk = build_desk(self.site, state, clock)
        self.desk.staff.change(
            lambda _: [Entry(name=name, role=role, pin=_PIN_HASH) for name, role in PEOPLE.items()]
        )
        config = uvicorn.Config(
            build_app(self.desk), log_config=None, access_log=False, timeout_graceful_shutdown=2
        )
        self._server = Server(config, self.desk.live)
        listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [listener]}, daemon=True
        )
        self._thread.start()

    def client(self, name: str | None = "Ana") -> httpx.Client:
        """Return a client that is signed in as ``name``; nobody where it is None."""
        client = httpx.Client(base_url=self.url, timeout=20)
        self._clients.append(client)
        if name is not None:
            answer = self.sign_in(client, name, PIN)
            assert answer.status_code == 303, answer.text
        return client

    def sign_in(self, client: httpx.Client, name: str, pin: str) -> httpx.Response:
        """Send the sign-in form."""
        form = {"csrf": csrf(client.get("/sign-in").text), "name": name, "pin": pin}
        return client.post("/sign-in", data=form)

    def open_page(self, context, name: str = "Ana", path: str = "/"):
        """Sign in with a browser (a Playwright context) and return its page at ``path``."""
        page = context.new_page()
        page.set_default_timeout(15_000)
        page.goto(self.url + path)
        page.get_by_label("Name").fill(name)
        page.get_by_label("PIN").fill(PIN)
        page.locator("main button").click()
        page.wait_for_url(self.url + path)
        return page

    def close(self) -> None:
        """Stop the server and close the clients."""
        for client in self._clients:
            client.close()
        self._server.should_exit = True
        self._thread.join(timeout=15)
        self.desk.close()


def csrf(html: str) -> str:
    """Return the token of a page."""
    found = re.search(r'<meta name="csrf" content="([^"]*)"', html)
    assert found is not None, html
    return found[1]
