"""The real mosquitto with the product's configuration: TLS 1.3, rights, revocation."""

import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from datetime import timedelta

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from fakes.identity import House
from shopfloor_contracts.site import UplinkSpec
from shopfloor_edge.agent.uplink import Uplink
from shopfloor_edge.identity.device import Identity
from shopfloor_edge.identity.renewal import Renewal
from shopfloor_stack import configs
from shopfloor_stack.layout import Layout

MOSQUITTO = shutil.which("mosquitto", path="/usr/sbin:/usr/bin:/usr/local/sbin")
pytestmark = [
    pytest.mark.broker,
    pytest.mark.skipif(MOSQUITTO is None, reason="wants mosquitto: make setup"),
]


class Broker:
    """One mosquitto, run with ``cloud/mosquitto`` as the stack runs it."""

    def __init__(self, layout: Layout) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.config = configs.write_broker(layout, self.port, account=account())
        self.pid_file = layout.data_of("broker") / "mosquitto.pid"
        self.log = layout.root / "broker.log"
        self.start()

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen([str(MOSQUITTO), "-c", str(self.config)], stdout=log)
        wait_until(self.answers)

    def answers(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        except OSError:
            return False
        return self.pid_file.exists()

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(20)


def account():
    return "root" if os.geteuid() == 0 else None


def wait_until(is_true, timeout_s=15.0):
    end_s = time.monotonic() + timeout_s
    while not is_true():
        assert time.monotonic() < end_s, "it did not come about in time"
        threading.Event().wait(0.02)


@pytest.fixture
def layout(tmp_path):
    layout = Layout(tmp_path / "cloud")
    layout.make()
    return layout


@pytest.fixture
def house(layout):
    pid_file = layout.data_of("broker") / "mosquitto.pid"
    house = House(layout.pki.parent / "data" / "house", broker_pid_file=pid_file,
                  broker_restart=False)  # fmt: skip
    for name in ("ca.crt", "ca.crl"):
        (layout.pki / name).symlink_to(house.folder / "pki" / name)
    pair = house.authority.server("broker", ["127.0.0.1", "localhost"])
    shutil.copy(pair.certificate, layout.pki / "broker.crt")
    shutil.copy(pair.key, layout.pki / "broker.key")
    with house.serving():
        yield house


@pytest.fixture
def broker(layout, house):
    broker = Broker(layout)
    yield broker
    broker.stop()


class Client:
    """An MQTT client with a TLS context; ``said`` tells how it went."""

    def __init__(self, broker: Broker, context: ssl.SSLContext, name: str = "") -> None:
        self.connected, self.lost, self.heard = threading.Event(), threading.Event(), []
        self.received, self.allowed = threading.Event(), {}
        self.client = mqtt.Client(
            CallbackAPIVersion.VERSION2, client_id=name, protocol=mqtt.MQTTv5,
            reconnect_on_failure=False,
        )  # fmt: skip
        self.client.tls_set_context(context)
        self.client.on_connect = lambda *_: self.connected.set()
        self.client.on_disconnect = lambda *_: self.lost.set()
        self.client.on_message = self._hear
        self.client.on_publish = self._published
        self.client.on_subscribe = lambda _c, _u, _m, reasons, _p: self.allowed.update(
            sub=str(reasons[0])
        )
        self.client.connect("127.0.0.1", broker.port)
        self.client.loop_start()

    def _hear(self, _client, _data, message):
        self.heard.append(message.topic)
        self.received.set()

    def _published(self, _client, _data, _mid, reason, _properties):
        self.allowed["pub"] = str(reason)

    def may_publish(self, topic: str) -> bool:
        self.allowed.pop("pub", None)
        self.client.publish(topic, b"{}", qos=1)
        wait_until(lambda: "pub" in self.allowed)
        return self.allowed["pub"] in ("Success", "No matching subscribers")

    def is_in(self) -> bool:
        wait_until(lambda: self.connected.is_set() or self.lost.is_set())
        return self.connected.is_set()

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


def lets_in(broker, context) -> bool:
    client = Client(broker, context)
    try:
        return client.is_in()
    finally:
        client.close()


@pytest.mark.attack("another device's topics")
def test_a_device_writes_its_own_topics_and_no_other_s(house, broker, tmp_path):
    device = house.enrolled(tmp_path / "door")
    client = Client(broker, house.context(device))

    assert client.is_in()
    rights = {
        topic: client.may_publish(topic)
        for topic in (
            "shopfloor/v1/oslo/door/traffic",
            "shopfloor/v1/oslo/till/traffic",
            "shopfloor/v1/bergen/door/traffic",
            "shopfloor/v1/oslo/door/cloud/ack",
        )
    }
    client.close()

    assert list(rights.values()) == [True, False, False, False]


@pytest.mark.attack("another device's acknowledgements")
def test_a_device_hears_its_own_acknowledgements_only(house, broker, tmp_path):
    door = Client(broker, house.context(house.enrolled(tmp_path / "door")))
    till = Client(broker, house.context(house.enrolled(tmp_path / "till", "oslo/till")))
    pair = house.authority.client("ingest", "ingest")
    context = house.context()
    context.load_cert_chain(pair.certificate, pair.key)
    ingest = Client(broker, context)
    assert [client.is_in() for client in (door, till, ingest)] == [True, True, True]
    for client in (door, till):
        client.client.subscribe("shopfloor/v1/oslo/door/cloud/#", qos=1)
        wait_until(lambda client=client: "sub" in client.allowed)

    ingest.may_publish("shopfloor/v1/oslo/door/cloud/ack")
    assert door.received.wait(10)
    for client in (door, till, ingest):
        client.close()

    assert door.heard == ["shopfloor/v1/oslo/door/cloud/ack"]
    assert till.heard == []


@pytest.mark.attack("no certificate at the broker")
def test_no_certificate_old_tls_and_a_stranger_are_refused(house, broker, tmp_path):
    device = house.enrolled(tmp_path / "door")
    old = house.context(device)
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    other = House(tmp_path / "other")
    with other.serving():
        stranger = house.context(other.enrolled(tmp_path / "stranger"))

    with (
        socket.create_connection(("127.0.0.1", broker.port)) as sock,
        pytest.raises(ssl.SSLError, match="PROTOCOL_VERSION"),
    ):
        old.wrap_socket(sock, server_hostname="127.0.0.1")
    refused = [Client(broker, context) for context in (house.context(), stranger)]

    assert [client.is_in() for client in refused] == [False, False]
    for client in refused:
        client.close()


@pytest.mark.attack("a revoked certificate at the broker")
def test_sighup_makes_2_0_11_refuse_a_revoked_device_but_leaves_its_connection(
    house, broker, tmp_path
):
    door = house.enrolled(tmp_path / "door")
    till = house.enrolled(tmp_path / "till", "oslo/till")
    live = Client(broker, house.context(door))
    assert live.is_in()

    house.parts.office.revoke("oslo/door", "stolen", "ada")
    wait_until(lambda: not lets_in(broker, house.context(door)))

    assert lets_in(broker, house.context(till))
    # mosquitto does not look at open connections: that is what a restart is for.
    assert live.may_publish("shopfloor/v1/oslo/door/traffic")
    live.close()


@pytest.mark.attack("a revoked device's open connection")
def test_a_restart_ends_the_revoked_device_s_open_connection(layout, house, broker, tmp_path):
    door = house.enrolled(tmp_path / "door")
    live = Client(broker, house.context(door))
    assert live.is_in()
    lists, told = house.parts.lists, house.parts.lists._broker
    lists._broker = type(told)(told.pid_file, restart=True)

    house.parts.office.revoke("oslo/door", "stolen", "ada")
    assert broker.process.wait(20) in (0, -signal.SIGTERM)
    broker.start()  # what its supervisor does
    again = Client(broker, house.context(door))

    assert live.lost.wait(10)
    assert not again.is_in()
    for client in (live, again):
        client.close()


def test_the_agent_s_uplink_shows_its_certificate_and_the_next_one_after_a_renewal(
    house, broker, tmp_path
):
    device = house.enrolled(tmp_path / "door")
    spec = UplinkSpec(host="127.0.0.1", port=broker.port, ca_file=str(house.authority.certificate))
    uplink = Uplink(
        spec, client_id="oslo/door", ack_topic="shopfloor/v1/oslo/door/cloud/ack", identity=device
    )
    uplink.open()
    assert uplink.connected.wait(15)
    first = device.pairs.current()

    renewal = Renewal(device, lambda _pair: uplink.show_certificate(), now=lambda: first.renew_at)
    renewal.step()
    house.parts.office.revoke(f"{first.serial:x}", "old", "ada")
    broker.stop()
    wait_until(lambda: not uplink.connected.is_set())
    broker.start()

    assert uplink.connected.wait(30)
    uplink.close("shopfloor/v1/oslo/door/death", json.dumps({}).encode())


def test_the_agent_s_process_connects_and_renews_what_is_due_by_itself(house, broker, tmp_path):
    # Signed 25 days ago: it has ended its second third, and still holds.
    house.clock.ahead = timedelta(days=-25)
    identity = Identity(house.site(tmp_path / "door"), now=house.clock)
    identity.enrol(house.invite())
    house.clock.ahead = timedelta(0)
    first = identity.pairs.current()
    file = tmp_path / "site.toml"
    authority = house.authority.certificate
    file.write_text(
        'site = "oslo"\ndevice = "door"\n[[cameras]]\nname = "entrance"\nuri = "none.avi"\n'
        f'[identity]\nfolder = "{identity.folder}"\nurl = "{house.url}"\n'
        f'[uplink]\nhost = "127.0.0.1"\nport = {broker.port}\nca_file = "{authority}"\n'
    )
    argv = [sys.executable, "-m", "shopfloor_edge.main", "agent", "--site", str(file)]
    log = tmp_path / "agent.log"
    with log.open("wb") as errors:
        agent = subprocess.Popen([*argv, "--state", str(tmp_path / "state")], stderr=errors)
    try:
        wait_until(lambda: identity.pairs.current().serial != first.serial, timeout_s=40)
        wait_until(lambda: b"uplink connected" in log.read_bytes(), timeout_s=40)
    finally:
        agent.terminate()
        assert agent.wait(20) == 0

    assert b"certificate renewed" in log.read_bytes()
    assert [entry[1] for entry in house.audited()].count("renew") == 1
