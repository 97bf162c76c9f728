"""The line hears within a second that its inspector is gone, whoever of the two is killed."""

import json
import os
import queue
import signal
import time

import paho.mqtt.client as mqtt
import psutil
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from fakes.station_files import FRAMES, StationFiles
from shopfloor_demo.broker import HOST, Broker
from shopfloor_demo.processes import Processes
from shopfloor_edge.inspection.broker import leave

pytestmark = pytest.mark.broker
LIMIT_S = 1.0
ACL = "user station\ntopic readwrite line/#\nuser plc\ntopic read line/#\n"


class Plc:
    """Listens as the line's control does."""

    def __init__(self, port, password_file):
        self.heard = queue.Queue()
        self.client = mqtt.Client(CallbackAPIVersion.VERSION2, "plc", protocol=mqtt.MQTTv5)
        self.client.username_pw_set("plc", password_file.read_text().strip())
        self.client.on_message = lambda _c, _d, m: self.heard.put(json.loads(m.payload))
        self.client.on_connect = lambda *_: self.client.subscribe("line/aoi/line", qos=1)
        self.client.connect(HOST, port)
        self.client.loop_start()

    def wait_for(self, state, timeout_s):
        """Return the seconds until the line said ``state``."""
        started_s = time.monotonic()
        while (left_s := started_s + timeout_s - time.monotonic()) > 0:
            try:
                said = self.heard.get(timeout=left_s)
            except queue.Empty:
                break
            if said["state"] == state:
                return time.monotonic() - started_s, said
        raise AssertionError(f"no {state} within {timeout_s} s")

    def close(self):
        leave(self.client)


@pytest.fixture
def line(tmp_path):
    with Processes(tmp_path / "logs") as processes:
        acl = tmp_path / "acl"
        acl.write_text(ACL)
        broker = Broker(tmp_path / "broker", processes, users=["station", "plc"], acl_file=acl)
        broker.start()
        secret = broker.password_file("station")
        table = f"""
[outputs.mqtt]
prefix = "line/aoi"
broker = {{ port = {broker.port}, username = "station", password_file = "{secret}" }}
"""
        files = StationFiles(tmp_path / "station", trigger=FRAMES, tables=table)
        plc, station = Plc(broker.port, broker.password_file("plc")), files.start()
        try:
            plc.wait_for("running", 40.0)
            yield plc, station
        finally:
            if station.poll() is None:
                station.terminate()
            station.wait(20)
            plc.close()


def test_the_line_stops_within_a_second_when_the_station_is_killed(line):
    plc, station = line

    station.kill()
    seconds, said = plc.wait_for("lost", 5.0)

    print(f"\nsafe state after kill -9 of the station: {1000 * seconds:.0f} ms")
    assert said["run"] is False
    assert seconds <= LIMIT_S


def test_the_line_stops_within_a_second_when_the_station_hangs_and_runs_when_it_is_back(line):
    plc, station = line

    os.kill(station.pid, signal.SIGSTOP)
    seconds, said = plc.wait_for("lost", 5.0)
    os.kill(station.pid, signal.SIGCONT)
    plc.wait_for("running", 5.0)

    print(f"\nsafe state after the station hangs: {1000 * seconds:.0f} ms")
    assert said["run"] is False
    assert seconds <= LIMIT_S + 0.2


def test_the_brokers_last_will_stops_the_line_when_the_keeper_is_killed(line):
    plc, station = line
    (keeper,) = psutil.Process(station.pid).children()

    keeper.kill()
    seconds, said = plc.wait_for("lost", 5.0)
    plc.wait_for("running", 20.0)

    print(f"\nsafe state after kill -9 of the keeper: {1000 * seconds:.0f} ms")
    assert said["run"] is False
    assert seconds <= LIMIT_S
