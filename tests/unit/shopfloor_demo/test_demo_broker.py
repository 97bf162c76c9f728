"""A real mosquitto with the product's own access rules."""

from __future__ import annotations

import queue
import stat

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from shopfloor_demo.broker import NAME, Broker
from shopfloor_demo.errors import ToolMissingError
from shopfloor_demo.processes import Processes
from shopfloor_demo.settings import REPOSITORY

pytestmark = pytest.mark.broker
ACL = REPOSITORY / "cloud" / "mosquitto" / "acl"
ONE, TWO = "demo-store/counter-1", "demo-store/counter-2"
PATIENCE_S = 10


class Peer:
    """A client that puts what the broker says into queues."""

    def __init__(self, port, user, password, *, session_s=0):
        self.said, self.heard = queue.Queue(), queue.Queue()
        self._client = mqtt.Client(
            CallbackAPIVersion.VERSION2, client_id=f"test-{user}", protocol=mqtt.MQTTv5
        )
        self._client.username_pw_set(user, password)
        self._client.on_connect = lambda c, d, f, reason, p: self.said.put(reason.value)
        self._client.on_publish = lambda c, d, mid, reason, p: self.said.put(reason.value)
        self._client.on_subscribe = lambda c, d, mid, reasons, p: self.said.put(reasons[0].value)
        self._client.on_message = lambda c, d, message: self.heard.put(message.topic)
        properties = Properties(PacketTypes.CONNECT)
        properties.SessionExpiryInterval = session_s
        self._client.connect("127.0.0.1", port, clean_start=not session_s, properties=properties)
        self._client.loop_start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._client.disconnect()
        self._client.loop_stop()

    def answer(self):
        return self.said.get(timeout=PATIENCE_S)

    def publish(self, topic):
        self._client.publish(topic, b"{}", qos=1)
        return self.answer()

    def subscribe(self, topic):
        self._client.subscribe(topic, qos=1)
        return self.answer()


OK, GRANTED_QOS_1, NO_MATCH, NOT_AUTHORISED = 0, 1, 0x10, 0x87


@pytest.fixture
def broker(tmp_path):
    with Processes(tmp_path / "logs") as processes:
        broker = Broker(tmp_path / "b", processes, users=["ingest", ONE, TWO], acl_file=ACL)
        broker.start()
        broker.processes = processes
        yield broker


def connected(broker, user, **options):
    peer = Peer(broker.port, user, broker.password_file(user).read_text(), **options)
    assert peer.answer() == OK
    return peer


def test_a_device_may_say_its_own_kinds_and_nothing_of_another(broker):
    with connected(broker, ONE) as device:
        assert device.publish(f"shopfloor/v1/{ONE}/traffic") in (OK, NO_MATCH)
        assert device.publish(f"shopfloor/v1/{TWO}/traffic") == NOT_AUTHORISED
        assert device.publish(f"shopfloor/v1/{ONE}/cloud/ack") == NOT_AUTHORISED
        assert device.publish("elsewhere") == NOT_AUTHORISED


def test_ingest_hears_devices_and_devices_hear_acknowledgements(broker):
    with connected(broker, "ingest") as ingest, connected(broker, ONE) as device:
        assert ingest.subscribe("shopfloor/v1/+/+/+") == GRANTED_QOS_1
        device.subscribe(f"shopfloor/v1/{ONE}/cloud/ack")

        device.publish(f"shopfloor/v1/{ONE}/traffic")
        ingest.publish(f"shopfloor/v1/{ONE}/cloud/ack")

        assert ingest.heard.get(timeout=PATIENCE_S) == f"shopfloor/v1/{ONE}/traffic"
        assert device.heard.get(timeout=PATIENCE_S) == f"shopfloor/v1/{ONE}/cloud/ack"


def test_a_wrong_password_and_an_unknown_user_are_refused(broker):
    for user in (ONE, "stranger"):
        with Peer(broker.port, user, "wrong") as peer:
            assert peer.answer() == NOT_AUTHORISED


def test_what_a_session_waits_for_survives_a_restart_on_the_same_port(broker):
    with connected(broker, "ingest", session_s=60) as ingest:
        ingest.subscribe("shopfloor/v1/+/+/+")
    with connected(broker, ONE) as device:
        device.publish(f"shopfloor/v1/{ONE}/traffic")
    broker.processes.stop(NAME)

    broker.restart()

    with connected(broker, "ingest", session_s=60) as ingest:
        assert ingest.heard.get(timeout=PATIENCE_S) == f"shopfloor/v1/{ONE}/traffic"


def test_secrets_are_private_and_new_in_every_run(broker, tmp_path):
    with Processes(tmp_path / "other") as processes:
        other = Broker(tmp_path / "c", processes, users=[ONE], acl_file=ACL)

    secret = broker.password_file(ONE)
    hashed = secret.parent / "passwords"

    assert secret.read_text() != other.password_file(ONE).read_text()
    assert {stat.S_IMODE(path.stat().st_mode) for path in (secret, hashed)} == {0o600}
    assert secret.read_text() not in hashed.read_text()


def test_a_missing_mosquitto_names_package_and_target(tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)

    with pytest.raises(ToolMissingError, match=r"package mosquitto, 'make setup'"):
        Broker(tmp_path / "b", Processes(tmp_path / "logs"), users=[ONE], acl_file=ACL)
