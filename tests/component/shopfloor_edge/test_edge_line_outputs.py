"""Every carrier of words to the line: one suite, with a real peer at the other end."""

import json

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from fakes.line import FakePins
from shopfloor_contracts.recipes import (
    BrokerSpec,
    GpioOutput,
    MqttOutput,
    OpcUaClient,
    OpcUaServer,
    OpcUaTrigger,
)
from shopfloor_demo.broker import HOST, Broker
from shopfloor_demo.processes import Processes, free_port, wait_until
from shopfloor_edge.errors import OutputError
from shopfloor_edge.inspection.arrivals import TriggerQueue
from shopfloor_edge.inspection.broker import leave
from shopfloor_edge.inspection.line import LineSignal, Ruling, safe_signal
from shopfloor_edge.inspection.outputs import gpio, opcua_client, opcua_server
from shopfloor_edge.inspection.outputs import mqtt as mqtt_output
from shopfloor_edge.inspection.ports import Verdict
from shopfloor_edge.inspection.triggers.opcua import OpcUaTriggers

RUNNING = LineSignal("running", run=True, warning=False)
LOST = safe_signal("stop", "inspector lost")
PASSED, FAILED = Ruling(7, Verdict.PASS, number=70), Ruling(8, Verdict.FAIL, number=80)


class GpioPeer:
    """Reads the pins."""

    beats = False

    def __init__(self, _folder):
        self.pins = FakePins()
        self.output = gpio.GpioLine(GpioOutput(run=1, passed=2), self.pins)
        self.output.show(LOST)

    def run(self):
        return self.pins.levels[1]

    def passed(self):
        return self.pins.levels[2]

    def close(self):
        self.output.close()


class MqttPeer:
    """Subscribes as a PLC's gateway does."""

    beats = True

    def __init__(self, folder):
        self._processes = Processes(folder / "logs")
        acl = folder / "acl"
        acl.write_text("user station\ntopic readwrite line/#\n")
        broker = Broker(folder / "broker", self._processes, users=["station"], acl_file=acl)
        broker.start()
        secret = broker.password_file("station")
        self.heard = {}
        self.client = mqtt.Client(CallbackAPIVersion.VERSION2, "plc", protocol=mqtt.MQTTv5)
        self.client.username_pw_set("station", secret.read_text())
        self.client.on_message = self._on_message
        self.client.on_connect = lambda *_: self.client.subscribe("line/aoi/#", qos=1)
        self.client.connect(HOST, broker.port)
        self.client.loop_start()
        spec = BrokerSpec(port=broker.port, username="station", password_file=str(secret))
        self.output = mqtt_output.open_output(
            MqttOutput(broker=spec, prefix="line/aoi"), lost=LOST, name="aoi"
        )
        wait_until(lambda: "line" in self.heard, timeout_s=10, what="first word")

    def _on_message(self, _client, _data, message):
        self.heard[message.topic.rsplit("/", 1)[-1]] = json.loads(message.payload)

    def run(self):
        return self.heard["line"]["run"]

    def passed(self):
        return self.heard.get("verdict", {}).get("verdict") == "pass"

    def beat(self):
        return self.heard.get("beat", 0)

    def close(self):
        self.output.close()
        leave(self.client)
        self._processes.stop_all()


class ServerPeer:
    """Reads our server as a PLC does."""

    beats = True

    def __init__(self, _folder):
        sync = pytest.importorskip("asyncua.sync")
        endpoint = f"opc.tcp://127.0.0.1:{free_port()}/shopfloor"
        spec = OpcUaServer(endpoint=endpoint)
        self.output = opcua_server.open_output(spec, lost=LOST, name="aoi")
        self.client = sync.Client(endpoint)
        self.client.connect()
        self.space = self.client.get_namespace_index(opcua_server.NAMESPACE)

    def read(self, leaf):
        return self.client.get_node(f"ns={self.space};s=aoi.{leaf}").read_value()

    def run(self):
        return self.read("run")

    def passed(self):
        return self.read("verdict") == "pass"

    def beat(self):
        return self.read("beat")

    def close(self):
        self.client.disconnect()
        self.output.close()


class PlcPeer:
    """A PLC with an OPC-UA server of its own, into which we write."""

    beats = True

    def __init__(self, _folder):
        self.server, endpoint, nodes = plc_server()
        self.nodes = nodes
        names = {leaf: node.nodeid.to_string() for leaf, node in nodes.items()}
        del names["parts"]
        self.output = opcua_client.open_output(
            OpcUaClient(endpoint=endpoint, **names), lost=LOST, name="aoi"
        )

    def run(self):
        return self.nodes["run"].read_value()

    def passed(self):
        return not self.nodes["reject"].read_value()

    def beat(self):
        return self.nodes["beat"].read_value()

    def close(self):
        self.output.close()
        self.server.stop()


def plc_server():
    sync = pytest.importorskip("asyncua.sync")
    ua = pytest.importorskip("asyncua.ua")
    server = sync.Server()
    endpoint = f"opc.tcp://127.0.0.1:{free_port()}/plc"
    server.set_endpoint(endpoint)
    server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
    server.start()
    plc = server.nodes.objects.add_object("ns=1;s=plc", "1:plc")
    first = {"run": True, "warning": False, "reject": True}
    nodes = {leaf: plc.add_variable(f"ns=1;s={leaf}", f"1:{leaf}", v) for leaf, v in first.items()}
    for leaf in ("beat", "part", "parts"):
        nodes[leaf] = plc.add_variable(f"ns=1;s={leaf}", f"1:{leaf}", 0, ua.VariantType.UInt32)
    for node in nodes.values():
        node.set_writable()
    return server, endpoint, nodes


PEERS = [
    GpioPeer,
    pytest.param(MqttPeer, marks=pytest.mark.broker),
    ServerPeer,
    PlcPeer,
]


@pytest.fixture(params=PEERS)
def peer(request, tmp_path):
    peer = request.param(tmp_path)
    yield peer
    peer.close()


def becomes(condition):
    wait_until(condition, timeout_s=5.0, what="word at the line's end")


def test_an_output_is_safe_until_the_station_speaks(peer):
    assert peer.run() is False


def test_a_line_runs_when_it_is_told_and_stops_when_it_is_told(peer):
    peer.output.show(RUNNING)
    becomes(lambda: peer.run() is True)

    peer.output.show(LOST)

    becomes(lambda: peer.run() is False)


def test_only_a_part_that_passed_is_let_through(peer):
    peer.output.show(RUNNING)
    peer.output.rule(PASSED)
    becomes(lambda: peer.passed() is True)

    peer.output.rule(FAILED)

    becomes(lambda: peer.passed() is False)


def test_a_heartbeat_goes_up(peer):
    if not peer.beats:
        pytest.skip("a level has no counter")

    peer.output.beat(41)
    becomes(lambda: peer.beat() == 41)
    peer.output.beat(42)

    becomes(lambda: peer.beat() == 42)


def test_pins_fall_low_when_they_are_let_go(tmp_path):
    peer = GpioPeer(tmp_path)
    peer.output.show(RUNNING)

    peer.close()

    assert not any(peer.pins.levels.values())


def test_a_plc_that_does_not_answer_is_one_line():
    spec = OpcUaClient(endpoint=f"opc.tcp://127.0.0.1:{free_port()}/x", run="ns=1;s=run")

    with pytest.raises(OutputError, match=r"opc.tcp://127.0.0.1"):
        opcua_client.open_output(spec, lost=LOST, name="aoi")


def test_a_chip_that_is_not_there_is_one_line(tmp_path):
    pytest.importorskip("gpiod")
    spec = GpioOutput(chip=str(tmp_path / "gpiochip9"), run=1)

    with pytest.raises(OutputError, match="gpiochip9"):
        gpio.open_output(spec, lost=LOST, name="aoi")


def test_a_counter_of_a_plc_triggers_once_for_each_change():
    server, endpoint, nodes = plc_server()
    triggers_queue = TriggerQueue()
    triggers = OpcUaTriggers(
        OpcUaTrigger(kind="opcua", endpoint=endpoint, node="ns=1;s=parts"), triggers_queue
    )
    triggers.start()
    try:
        wait_until(lambda: triggers._last == 0, timeout_s=10, what="subscription")

        for value in (1, 2, 5):
            nodes["parts"].write_value(value, nodes["parts"].read_data_type_as_variant_type())
            wait_until(lambda v=value: triggers._last == v, timeout_s=5, what="trigger")
    finally:
        triggers.close()
        server.stop()

    numbers = [triggers_queue.take(0.1).number for _ in range(3)]
    assert numbers == [1, 2, 5]
    assert triggers_queue.take(0.01) is None
