"""``shopfloor-edge sense`` as a process: recordings, a plant's broker, kill -9."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time

import numpy as np
import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from shopfloor_contracts.aggregates import SensorData
from shopfloor_contracts.alerts import AlertData
from shopfloor_edge.journal.outbox import Outbox

pytestmark = pytest.mark.timeout(90)
MOSQUITTO = shutil.which("mosquitto", path="/usr/sbin:/usr/bin")
COMMAND = [sys.executable, "-m", "shopfloor_edge.main", "sense"]
FILE = """
site = "plant-3"
device = "press-2"
{broker}
[[sensors]]
name = "oil"
machine = "press-2"
quantity = "temperature"
unit = "°C"
rate_hz = 1
stretch_s = 10
report_s = 60
learn_s = 600
silent_s = {silent_s}
false_alarm_s = 86400
{topic}
"""


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "machines.toml"
    path.write_text(FILE.format(broker="", topic="", silent_s=60))
    return path


def sense(config, *more, text=None):
    state = config.parent / "state"
    return subprocess.run(
        [*COMMAND, "--config", config, "--state", state, *more],
        capture_output=True, text=True, input=text, timeout=60, check=False,
    )  # fmt: skip


def recording(path, *, hot=0.0, seconds=1500, start=0):
    values = 60 + np.random.default_rng(1).standard_normal(seconds)
    values[900:] += hot
    rows = [f"{time.strftime('%Y-%m-%d %H:%M:%S', time.gmtime(1_800_000_000 + start + i))},{v}"
            for i, v in enumerate(values)]  # fmt: skip
    path.write_text("timestamp,value\n" + "\n".join(rows) + "\n")
    return path


def said(folder):
    outbox = Outbox(folder, max_rows=10_000, max_bytes=10**8)
    events = [waiting.event for waiting in outbox.waiting(0, 10_000)]
    outbox.close()
    return events


def of(kind, events):
    return [event.data for event in events if isinstance(event.data, kind)]


def test_a_recording_of_a_machine_that_grows_hot_becomes_figures_and_an_alert(config, tmp_path):
    ran = sense(config, "--replay", recording(tmp_path / "hot.csv", hot=2.0))

    events = said(tmp_path / "state")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert sum(data.frames for data in of(SensorData, events)) == 1500
    assert "oil-drift" in {data.rule for data in of(AlertData, events)}
    assert {event.source for event in events} == {"/sites/plant-3/devices/press-2/cameras/oil"}


def test_a_recording_that_is_replayed_again_adds_nothing(config, tmp_path):
    path = recording(tmp_path / "calm.csv")
    sense(config, "--replay", path)
    first = said(tmp_path / "state")

    sense(config, "--replay", path)

    assert said(tmp_path / "state") == first


def test_a_mended_machine_is_learnt_again_when_asked(config, tmp_path):
    sense(config, "--replay", recording(tmp_path / "one.csv"))

    ran = sense(config, "--relearn", "oil", "--replay", recording(tmp_path / "two.csv", start=1500))

    states = [data.state for data in of(SensorData, said(tmp_path / "state"))]
    assert ran.returncode == 0
    assert states.count("learning") == 2 * 9


def test_standard_input_of_json_lines_is_read_and_what_is_wrong_counted(config, tmp_path):
    lines = [
        json.dumps({"at": f"2026-11-21T10:{m:02}:00Z", "values": [60.0 + m] * 60}) for m in range(5)
    ]

    ran = sense(config, "--replay", "-", text="\n".join([*lines[:3], "{oops", *lines[3:]]) + "\n")

    assert ran.returncode == 0
    assert "1 lines refused" in ran.stdout
    assert sum(data.frames for data in of(SensorData, said(tmp_path / "state"))) == 300


def test_a_process_that_waits_for_its_standard_input_stops_when_told(config):
    process = subprocess.Popen(
        [*COMMAND, "--config", config, "--state", config.parent / "state", "--replay", "-"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    process.stdin.write('{"at": "2026-11-21T10:00:00Z", "value": 60}\n')
    process.stdin.flush()
    wait_until((config.parent / "state" / "state.db").exists)

    process.send_signal(signal.SIGTERM)

    out, _ = process.communicate(timeout=20)
    assert process.returncode == 0
    assert "events" in out


@pytest.mark.parametrize(
    ("change", "more", "said_of_it"),
    [
        (("stretch_s = 10", "stretch_s = 0"), [], "stretch_s"),
        (("", ""), [], "sensor 'oil' has no topic; give one, or --replay FILE"),
        (("", ""), ["--replay", "nowhere.csv"], "nowhere.csv: No such file"),
        (("", ""), ["--relearn", "lio"], "--relearn 'lio': the sensors are oil"),
    ],
)
def test_what_the_operator_can_mend_is_one_line_and_exit_2(config, change, more, said_of_it):
    config.write_text(config.read_text().replace(*change) if change[0] else config.read_text())

    ran = sense(config, *more)

    assert ran.returncode == 2
    assert said_of_it in ran.stderr
    assert len(ran.stderr.splitlines()) == 1


def test_a_saved_baseline_that_is_damaged_is_learnt_again(config, tmp_path):
    sense(config, "--replay", recording(tmp_path / "one.csv"))
    (tmp_path / "state" / "sensors" / "oil.json").write_text("{torn")

    ran = sense(config, "--replay", recording(tmp_path / "two.csv", start=1500))

    assert ran.returncode == 0
    assert "learning again" in ran.stderr


def wait_until(condition, *, within_s=30.0):
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"did not happen within {within_s} s")


def is_open(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def rows(folder, kind):
    try:
        with sqlite3.connect(f"file:{folder}/state.db?mode=ro", uri=True) as connection:
            query = "SELECT COUNT(*) FROM outbox WHERE kind = ?"
            return connection.execute(query, (kind,)).fetchone()[0]
    except sqlite3.Error:
        return 0


@pytest.fixture
def broker(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    conf = tmp_path / "mosquitto.conf"
    conf.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\n")
    process = subprocess.Popen([MOSQUITTO, "-c", conf], stderr=subprocess.DEVNULL)
    wait_until(lambda: is_open(port))
    yield port
    process.terminate()
    process.wait(10)


@pytest.mark.broker
@pytest.mark.skipif(MOSQUITTO is None, reason="wants mosquitto")
def test_a_plants_broker_is_listened_to_and_what_was_told_outlives_kill_9(tmp_path, broker):
    config, state = tmp_path / "machines.toml", tmp_path / "state"
    text = FILE.format(broker=f"[broker]\nport = {broker}", topic='topic = "plant/oil"', silent_s=2)
    config.write_text(
        text.replace("stretch_s = 10", "stretch_s = 1").replace("report_s = 60", "report_s = 2")
    )
    sender = mqtt.Client(CallbackAPIVersion.VERSION2)
    sender.connect("127.0.0.1", broker)
    sender.loop_start()

    def spoken():
        sender.publish("plant/oil", b"hot")
        sender.publish("plant/oil", b"61.5").wait_for_publish(5)
        return rows(state, "sensor") >= 1

    process = subprocess.Popen([*COMMAND, "--config", config, "--state", state])
    try:
        wait_until(spoken)
        wait_until(lambda: rows(state, "alert") >= 1)
    finally:
        process.kill()
        process.wait(10)
        sender.disconnect()
        sender.loop_stop()

    events = said(state)
    assert sum(data.frames for data in of(SensorData, events)) >= 1
    silence = of(AlertData, events)[0]
    assert (silence.rule, silence.metric) == ("oil-silent", "sensor")
    assert (state / "sensors" / "oil.json").exists()
