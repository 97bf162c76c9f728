"""A console over a state folder on a free port, and people who are signed in to it."""

from __future__ import annotations

import re
import socket
import threading
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import httpx
import uvicorn

from shopfloor_contracts.alerts import AlertData, AlertState
from shopfloor_contracts.events import CameraStatus
from shopfloor_contracts.rules import Severity
from shopfloor_contracts.site import SiteFile, parse_site
from shopfloor_edge.console.app import Server, build_app, build_desk
from shopfloor_edge.console.people import Entry, Role, Staff
from shopfloor_edge.console.pins import hash_pin
from shopfloor_edge.journal.outbox import Draft, Outbox
from shopfloor_edge.journal.state import CameraRow, StateWriter

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
_PIN_HASH = hash_pin(PIN, n=16)


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
        write_staff(state)
        config = uvicorn.Config(
            build_app(self.desk), log_config=None, access_log=False, timeout_graceful_shutdown=2
        )
        self._server = Server(config, self.desk.live)
        listener = socket.create_server(("127.0.0.1", 0))
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
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

    def see(self, *, at: datetime | None = None) -> None:
        """Write what vision writes each second: both cameras are live."""
        at_s = (at or datetime.now(UTC)).timestamp()
        writer = StateWriter(self.state)
        writer.write([camera_row(camera.name, at_s) for camera in self.site.cameras])
        writer.close()

    def raise_alert(self, number: int = 1, **told) -> str:
        """Commit an alert as vision does, and return its name."""
        return self.raise_alerts([told | {"number": number}])[0]

    def raise_alerts(self, told: list[dict[str, object]]) -> list[str]:
        """Commit many alerts in one transaction."""
        drafts = [Draft(alert_data(**one), _source(one), datetime.now(UTC)) for one in told]
        outbox = Outbox(self.state, max_rows=100_000, max_bytes=10**9)
        outbox.commit(drafts)
        outbox.close()
        return [str(draft.data.alert_id) for draft in drafts]

    def close(self) -> None:
        """Stop the server and close the clients."""
        for client in self._clients:
            client.close()
        self._server.should_exit = True
        self._thread.join(timeout=15)
        self.desk.close()


def write_staff(state: Path) -> None:
    """Write the staff file; everybody has the same PIN."""
    people = [Entry(name=name, role=role, pin=_PIN_HASH) for name, role in PEOPLE.items()]
    Staff(state).change(lambda _: people)


def alert_data(number: int = 1, camera: str = "entrance", **told) -> AlertData:
    """Return an alert about the queue at the till, or another as ``told``."""
    now = datetime.now(UTC)
    fields: dict[str, object] = {
        "alert_id": uuid.UUID(int=number),
        "rule": f"long-queue-{number}",
        "metric": "queue-length",
        "about": "till",
        "state": AlertState.RAISED,
        "severity": Severity.WARNING,
        "at": now,
        "since": now,
        "value": 7.0,
        "threshold": 4.0,
    }
    return AlertData.model_validate(fields | told)


def camera_row(name: str, at_s: float) -> CameraRow:
    """Return a live camera."""
    counts = {"people": 3, "crossings_in": 41, "crossings_out": 38, "frames": 9000, "shed": 0}
    return CameraRow(
        camera=name,
        status=CameraStatus.LIVE,
        reason="",
        fps=9.8,
        video_bytes=10**8,
        first_count_at=at_s - 3600,
        updated_at=at_s,
        **counts,
    )


def _source(told: dict[str, object]) -> str:
    return f"/sites/store-1/devices/door/cameras/{told.get('camera', 'entrance')}"


def csrf(html: str) -> str:
    """Return the token of a page."""
    found = re.search(r'<meta name="csrf" content="([^"]*)"', html)
    assert found is not None, html
    return found[1]
