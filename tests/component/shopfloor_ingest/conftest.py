"""A real broker, a real ingest process and a device that talks to both."""

from __future__ import annotations

import json
import resource
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from sqlalchemy import text

from fakes import postgresql
from fakes.ingest_events import FakeDevice
from shopfloor_contracts.events import encode, kind_of
from shopfloor_contracts.topics import ack_topic
from shopfloor_kit.database import open_engine, reading

MOSQUITTO = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
REPOSITORY = Path(__file__).parents[3]
PASSWORDS = {"ingest": "i", "oslo/door": "d", "bergen/door": "b"}


def wait_until(condition, *, within_s: float = 30.0, what: str = "it"):
    """Poll until ``condition`` returns something true, and return that."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.01)
    raise AssertionError(f"{what} did not happen within {within_s} s")


class Broker:
    """mosquitto with the repository's ACL, on a port of its own that survives restarts."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        passwords = folder / "passwords"
        passwords.write_text("".join(f"{name}:{word}\n" for name, word in PASSWORDS.items()))
        passwords.chmod(0o600)
        subprocess.run(["mosquitto_passwd", "-U", passwords], check=True)
        acl = folder / "acl"
        shutil.copy(REPOSITORY / "cloud/mosquitto/acl", acl)
        acl.chmod(0o600)
        self.port = _free_port()
        self._config = folder / "mosquitto.conf"
        self._config.write_text(
            f"listener {self.port} 127.0.0.1\nallow_anonymous false\nuser root\n"
            f"password_file {passwords}\nacl_file {acl}\n"
            "set_tcp_nodelay true\nmax_queued_messages 100000\nmax_inflight_messages 2000\n"
            f"persistence true\npersistence_location {folder}/\nlog_dest none\n"
        )
        self._process = None

    def start(self) -> None:
        self._process = subprocess.Popen([MOSQUITTO, "-c", self._config])
        wait_until(lambda: _accepts(self.port), what="mosquitto listening")

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(5)
            self._process = None


class Ingest:
    """The real process; ``start`` again after ``kill`` goes on with the same files."""

    def __init__(self, folder: Path, broker_port: int, database_url: str) -> None:
        self.folder, self.database_url = folder, database_url
        self._address, self._broker_port = folder / "address", broker_port
        (folder / "password").write_text("i\n")
        self.log = folder / "ingest.log"
        self.process = None

    def start(self, *flags: str, wait: bool = True) -> None:
        self._address.unlink(missing_ok=True)
        arguments = [
            *(sys.executable, "-m", "shopfloor_ingest.app", "--http-port", "0"),
            *("--broker-port", str(self._broker_port), "--broker-username", "ingest"),
            *("--broker-password-file", str(self.folder / "password")),
            *("--database", self.database_url),
            *("--address-file", str(self._address), *flags),
        ]
        with self.log.open("a") as log:
            self.process = subprocess.Popen(arguments, stderr=log)
        if wait:
            wait_until(lambda: self.health()[0] == 200, what="ingest healthy")

    def health(self) -> tuple[int, dict]:
        try:
            answer = self.get("/healthz")
        except (OSError, httpx.TransportError):
            return 0, {}
        return answer.status_code, answer.json()["checks"]

    def get(self, path: str) -> httpx.Response:
        return httpx.get(f"http://{self._address.read_text().strip()}{path}", timeout=5)

    def metric(self, name: str) -> float:
        for line in self.get("/metrics").text.splitlines():
            if line.startswith(f"shopfloor_ingest_{name} "):
                return float(line.rsplit(" ", 1)[1])
        return 0.0

    def rows(self, query: str) -> list[tuple]:
        engine = open_engine(self.database_url)
        try:
            with reading(engine).connect() as connection:
                return [tuple(row) for row in connection.execute(text(query))]
        finally:
            engine.dispose()

    def count(self, table: str) -> int:
        return self.rows(f"SELECT count(*) FROM {table}")[0][0]  # noqa: S608 — our own table names

    def logged(self, message: str) -> int:
        lines = [line for line in self.log.read_text().splitlines() if line.startswith("{")]
        return sum(json.loads(line)["message"] == message for line in lines)

    def limit_files_to(self, size_bytes: int) -> None:
        """Make every write beyond ``size_bytes`` of a file fail, as on a full disk."""
        _, hard = resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE, (size_bytes, hard))

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(5)

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(10)


class Link:
    """The connection of one device: says what it is given, remembers its acknowledgements."""

    def __init__(self, port: int, device: FakeDevice) -> None:
        self.device, self.acks = device, []
        self._changed, self._subscribed = threading.Condition(), threading.Event()
        user = f"{device.site}/{device.device}"
        self._client = mqtt.Client(
            CallbackAPIVersion.VERSION2, client_id=user.replace("/", "-"), protocol=mqtt.MQTTv5
        )
        self._client.username_pw_set(user, PASSWORDS[user])
        self._client.max_inflight_messages_set(1000)
        self._client.on_socket_open = lambda _client, _data, connection: connection.setsockopt(
            socket.IPPROTO_TCP, socket.TCP_NODELAY, 1
        )
        self._client.on_message = self._on_message
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        self._client.subscribe(ack_topic(device.site, device.device), qos=1)
        assert self._subscribed.wait(5)

    def say(self, *events) -> None:
        """Publish; return when the broker has all of it."""
        self.say_raw(*((str(kind_of(event.data)), encode(event)) for event in events))

    def say_raw(self, *messages: tuple[str, bytes]) -> None:
        sent = [
            self._client.publish(self.device.topic(kind), payload, qos=1)
            for kind, payload in messages
        ]
        for message in sent:
            message.wait_for_publish(10)

    def wait_for_ack(self, up_to: int, *, count: int = 1, within_s: float = 30.0) -> None:
        """Wait until ``up_to`` was acknowledged at least ``count`` times."""

        def heard():
            ours = [mark for stream, mark in self.acks if stream == str(self.device.stream)]
            return ours.count(up_to) >= count

        with self._changed:
            arrived = self._changed.wait_for(heard, within_s)
        assert arrived, f"no acknowledgement of {up_to} within {within_s} s: {self.acks}"

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def _on_message(self, _client, _data, message) -> None:
        said = json.loads(message.payload)
        with self._changed:
            self.acks.append((said["stream"], said["up_to"]))
            self._changed.notify_all()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def _accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


@pytest.fixture
def broker(tmp_path):
    if MOSQUITTO is None:
        pytest.skip("wants mosquitto: apt-get install mosquitto")
    broker = Broker(tmp_path / "broker")
    broker.start()
    yield broker
    broker.stop()


@pytest.fixture(scope="session")
def cluster():
    if not postgresql.BINARIES:
        pytest.skip(postgresql.ABSENT)
    pytest.importorskip("psycopg", reason="wants the extra shopfloor-ingest[postgresql]")
    cluster = postgresql.Cluster()
    yield cluster
    cluster.stop()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request, tmp_path):
    """An empty database of each kind; a test of one kind alone is marked ``only_sqlite``."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/ingest.db"
    return request.getfixturevalue("cluster").make_database()


only_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def ingest(tmp_path, broker, database_url):
    ingest = Ingest(tmp_path, broker.port, database_url)
    yield ingest
    if ingest.process is not None and ingest.process.poll() is None:
        ingest.kill()


@pytest.fixture
def connect(broker):
    links = []

    def make(device: FakeDevice | None = None) -> Link:
        links.append(Link(broker.port, device or FakeDevice()))
        return links[-1]

    yield make
    for link in links:
        link.close()
