"""``shopfloor-edge notify`` as a process: real servers on loopback, a real broker."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from fakes.notice_servers import PATIENCE_S, http_server, smtp_server
from fakes.notice_site import SITE, commit, raised
from shopfloor_contracts.alerts import AlertState
from shopfloor_contracts.rules import Severity
from shopfloor_edge.journal.alertbook import AlertBook
from shopfloor_edge.journal.database import FILE_NAME
from shopfloor_edge.notifier.queue import NoticeQueue

apprise = pytest.importorskip("apprise")
COMMAND = [sys.executable, "-m", "shopfloor_edge.main", "notify"]
MOSQUITTO = shutil.which("mosquitto", path="/usr/sbin:/usr/bin")
TARGET = """
[notify]
digest_s = 0
console_url = "https://door.example.org:8480"

[[notify.targets]]
name = "staff"
kind = "{kind}"
hosts = ["{host}"]
url_file = "{file}"
severity = "info"
"""


def site_file(folder: Path, notify: str) -> Path:
    path = folder / "site.toml"
    path.write_text(SITE + notify)
    return path


def target(folder: Path, url: str, *, kind: str, host: str = "127.0.0.1") -> Path:
    secret = folder / "target-url"
    secret.write_text(url + "\n")
    return site_file(folder, TARGET.format(kind=kind, host=host, file=secret))


def refused(site: Path, folder: Path) -> str:
    ran = subprocess.run(
        [*COMMAND, "--site", site, "--state", folder / "state"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 2, ran.stderr
    return ran.stderr


@contextmanager
def notifier(site: Path, state: Path) -> Iterator[subprocess.Popen[str]]:
    """Run the process, from the moment at which it follows the book."""
    process = subprocess.Popen(
        [*COMMAND, "--site", site, "--state", state], stderr=subprocess.PIPE, text=True
    )
    try:
        queue = state / "notices.db"
        until(lambda: queue.exists() and cursor(state) is not None)
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=20)


def cursor(state: Path) -> int | None:
    queue = NoticeQueue(state, max_waiting=10)
    try:
        return queue.cursor()
    finally:
        queue.close()


def until(true, patience_s: float = PATIENCE_S) -> None:
    end = time.monotonic() + patience_s
    waiting = threading.Event()
    while not true():
        assert time.monotonic() < end
        waiting.wait(0.05)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    folder = tmp_path / "state"
    AlertBook(folder).close()
    assert (folder / FILE_NAME).exists()
    return folder


def test_an_alert_is_on_the_ntfy_server_and_what_is_private_is_not(tmp_path, state):
    with http_server() as (port, letters):
        site = target(tmp_path, f"ntfy://127.0.0.1:{port}/store", kind="ntfy")
        with notifier(site, state):
            commit(state, raised(1, time.time()))
            [(_, headers, body)] = letters.wait(1)

    text = json.dumps(headers) + body.decode()
    told = json.loads(body)
    assert told["topic"] == "store"
    assert told["title"] == "Warning: long-queue (berlin-1)"
    assert "tills · camera entrance · since" in told["message"]
    assert "https://door.example.org:8480/" in told["message"]
    for hidden in ("Anna", "secret-path", "10.0.0.7", "attach"):
        assert hidden not in text


def test_a_critical_alert_does_not_wait_for_the_one_before(tmp_path, state):
    with http_server() as (port, letters):
        site = target(tmp_path, f"ntfy://127.0.0.1:{port}/store", kind="ntfy")
        with notifier(site, state):
            commit(state, raised(1, time.time(), severity=Severity.CRITICAL))
            letters.wait(1)
            began = time.monotonic()
            commit(state, raised(2, time.time(), severity=Severity.CRITICAL))
            letters.wait(2)

    # apprise alone would sleep for 5.5 s between the two.
    assert time.monotonic() - began < 5.0


def test_an_alert_is_in_the_mailbox(tmp_path, state):
    with smtp_server() as (port, letters):
        url = f"mailto://localhost:{port}/?from=store@example.org&to=desk@example.org"
        site = target(tmp_path, url, kind="email", host="localhost")
        with notifier(site, state):
            commit(state, raised(1, time.time()))
            [mail] = letters.wait(1)

    assert "Subject: Warning: long-queue (berlin-1)" in mail
    assert "To: desk@example.org" in mail


def test_a_server_that_refuses_gets_it_later_and_after_a_kill_9_too(tmp_path, state):
    with http_server() as (port, letters):
        letters.status = 500
        site = target(tmp_path, f"ntfy://127.0.0.1:{port}/store", kind="ntfy")
        with notifier(site, state) as process:
            commit(state, raised(1, time.time(), severity=Severity.CRITICAL))
            letters.wait(1)
            process.kill()
            process.wait(10)
        letters.status = 200
        before = len(letters.now)
        with notifier(site, state):
            letters.wait(before + 1)
            until(lambda: counters(state).get("messages") == 1)

    assert counters(state)["notices"] == 1


def counters(state: Path) -> dict[str, int]:
    queue = NoticeQueue(state, max_waiting=10)
    try:
        return queue.counters()
    finally:
        queue.close()


def test_a_redirect_to_a_host_that_is_not_named_is_not_followed(tmp_path, state):
    with http_server() as (other_port, others), http_server() as (port, letters):
        letters.status, letters.location = 307, f"http://localhost:{other_port}/steal"
        site = target(tmp_path, f"ntfy://127.0.0.1:{port}/store", kind="ntfy")
        with notifier(site, state):
            commit(state, raised(1, time.time(), severity=Severity.CRITICAL))
            letters.wait(2)

        assert others.now == []


def test_nothing_goes_out_where_the_site_file_names_nobody(tmp_path):
    assert "[notify] names nobody" in refused(site_file(tmp_path, ""), tmp_path)


@pytest.mark.parametrize(
    ("url", "kind", "host", "complaint"),
    [
        ("ntfy://ntfy.example.org/store", "ntfy", "ntfy.example.org", "is not encrypted"),
        ("slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/", "ntfy", "x.org", "expected ntfy"),
        ("nothing that it knows", "chat", "x.org", "holds no URL that apprise knows"),
        ("syslog://", "chat", "x.org", "holds syslog://…"),
        ("", "ntfy", "x.org", "expected one line with a URL"),
    ],
)
def test_a_target_that_cannot_be_used_is_one_line_without_its_secret(
    tmp_path, url, kind, host, complaint
):
    told = refused(target(tmp_path, url, kind=kind, host=host), tmp_path)

    [line] = [line for line in told.splitlines() if line.startswith("shopfloor-edge: ")]
    assert complaint in line
    assert "TIiajkdnlazkcOXrIdevi7FQ" not in told


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[int]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    conf = tmp_path / "mosquitto.conf"
    conf.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\n")
    process = subprocess.Popen([MOSQUITTO, "-c", conf], stderr=subprocess.DEVNULL)

    def listens() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    until(listens)
    yield port
    process.terminate()
    process.wait(10)


@pytest.mark.broker
@pytest.mark.skipif(MOSQUITTO is None, reason="wants mosquitto")
def test_home_assistant_sees_each_rule_and_that_the_device_is_gone(tmp_path, state, broker):
    heard: dict[str, str] = {}
    client = mqtt.Client(CallbackAPIVersion.VERSION2)
    client.on_message = lambda _c, _d, m: heard.__setitem__(m.topic, m.payload.decode())
    client.connect("127.0.0.1", broker)
    client.subscribe([("homeassistant/#", 1), ("shopfloor-home/#", 1)])
    client.loop_start()
    text = f'[notify.home_assistant]\nhost = "127.0.0.1"\nport = {broker}\n'
    base = "shopfloor-home/berlin-1/door"

    def state_of(name: str) -> str:
        return json.loads(heard.get(f"{base}/{name}", "{}")).get("state", "")

    try:
        process = subprocess.Popen(
            [*COMMAND, "--site", site_file(tmp_path, text), "--state", state],
            stderr=subprocess.DEVNULL,
        )
        until(lambda: state_of("long-queue") == "OFF")
        commit(state, raised(1, time.time()))
        until(lambda: state_of("long-queue") == "ON")
        said = json.loads(heard[f"{base}/long-queue"])
        commit(state, raised(1, time.time(), state=AlertState.CLEARED))
        until(lambda: state_of("long-queue") == "OFF")
        online = heard[f"{base}/status"]
        process.kill()
        process.wait(10)
        until(lambda: heard[f"{base}/status"] == "offline")
    finally:
        process.kill()
        process.wait(10)
        client.disconnect()
        client.loop_stop()

    config = json.loads(
        heard["homeassistant/binary_sensor/shopfloor_berlin_1_door/long-queue/config"]
    )
    assert online == "online"
    assert config["state_topic"] == f"{base}/long-queue"
    assert config["availability_topic"] == f"{base}/status"
    assert (said["camera"], said["zone"], said["severity"]) == ("entrance", "tills", "warning")
    assert "homeassistant/binary_sensor/shopfloor_berlin_1_door/camera-entrance/config" in heard
