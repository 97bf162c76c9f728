"""Everything that can die is killed while events flow; afterwards nothing is lost or doubled."""

import shutil
import sqlite3
import sys

import pytest

from fakes.detector import make_clip, make_zoo, zoo_environment
from shopfloor_demo.processes import wait_until
from shopfloor_demo.site import Device
from shopfloor_demo.stack import AGENT, BROKER, INGEST, VISION, Stack
from shopfloor_edge.journal.outbox import Outbox

pytestmark = [
    pytest.mark.broker,
    pytest.mark.skipif(
        shutil.which("mosquitto", path="/usr/sbin:/usr/bin") is None, reason="wants mosquitto"
    ),
]

CAMERAS, SECONDS = 12, 90
CAMERA = """
[[cameras]]
name = "c{number}"
uri = "{clip}"
lines = [{{name = "l", a = [0.5, 0.0], b = [0.5, 1.0]}}]
zones = [{{name = "z", polygon = [[0, 0], [1, 0], [1, 1], [0, 1]]}}]
"""
SITE = """
site = "demo-store"
device = "counter-1"
window_s = 1
[uplink]
port = {port}
username = "demo-store/counter-1"
password_file = "{password_file}"
heartbeat_s = 1
batch_s = 1
"""


@pytest.fixture
def stack(tmp_path, monkeypatch):
    zoo = make_zoo(tmp_path / "zoo")
    for name, value in zoo_environment(zoo, tmp_path / "cache").items():
        monkeypatch.setenv(name, value)
    with Stack(tmp_path / "run", Device()) as stack:
        clip = make_clip(tmp_path / "clip.avi", frames=SECONDS * 10)
        text = SITE.format(
            port=stack.broker.port, password_file=stack.broker.password_file(stack.device.user)
        )
        text += "".join(CAMERA.format(number=n, clip=clip) for n in range(CAMERAS))
        stack.files.site.write_text(text)
        yield stack


def stored(stack):
    """Return the sequences that the cloud has, of the outbox' own stream."""
    outbox = Outbox(stack.files.state, max_rows=10**6, max_bytes=10**9)
    stream = str(outbox.position().stream)
    outbox.close()
    connection = sqlite3.connect(stack.files.database)
    rows = connection.execute(
        "SELECT seq FROM events WHERE stream = ? ORDER BY seq", (stream,)
    ).fetchall()
    windows = connection.execute(
        "SELECT r.camera, SUM(r.windows), (SELECT COUNT(DISTINCT e.began_at) FROM events e"
        " WHERE e.kind = 'traffic' AND e.camera = r.camera)"
        " FROM rollup_traffic r WHERE r.bucket_s = 86400 GROUP BY r.camera"
    ).fetchall()
    connection.close()
    return [seq for (seq,) in rows], windows


def acknowledged(stack, more_than):
    return lambda: stack.state().counters.get("events_acked", 0) > more_than


@pytest.mark.timeout(180)
def test_killing_agent_ingest_and_broker_loses_nothing_and_doubles_nothing(stack):
    stack.start_cloud()
    stack.start_agent()
    stack.start_vision()
    wait_until(acknowledged(stack, 0), timeout_s=30, what="first acknowledgement")

    revivals = {
        AGENT: lambda: stack.processes.restart(AGENT),
        INGEST: stack.restart_ingest,
        BROKER: stack.restart_broker,
    }
    for victim in [AGENT, INGEST, BROKER, INGEST, AGENT, BROKER]:
        waiting_before = stack.state().counters["events_committed"]
        stack.processes.kill9(victim)
        if stack.processes.is_running(VISION):
            wait_until(
                lambda before=waiting_before: (
                    stack.state().counters["events_committed"] > before
                    or not stack.processes.is_running(VISION)
                ),
                timeout_s=30,
                what="counting that goes on",
            )
        acked = stack.state().counters["events_acked"]
        revivals[victim]()
        wait_until(
            lambda acked=acked: acknowledged(stack, acked)() or stack.is_drained(),
            timeout_s=40,
            what=f"acknowledgement after {victim} was killed",
        )

    assert stack.processes.wait(VISION, timeout_s=90) == 0
    wait_until(stack.is_drained, timeout_s=60, what="empty outbox")
    counters = stack.state().counters
    sequences, windows = stored(stack)
    assert counters["events_committed"] >= CAMERAS * SECONDS * 2
    assert sequences == list(range(1, counters["events_committed"] + 1))
    assert counters["events_acked"] == counters["events_committed"]
    assert counters.get("outbox_dropped", 0) == 0
    assert len(windows) == CAMERAS
    assert all(rows == distinct >= SECONDS for _, rows, distinct in windows)


def test_a_vision_killed_in_mid_window_loses_only_that_window(stack):
    stack.start_cloud()
    stack.start_agent()
    stack.start_vision()
    wait_until(acknowledged(stack, 20), timeout_s=30, what="acknowledgements")

    stack.processes.kill9(VISION)
    committed = stack.state().counters["events_committed"]
    wait_until(stack.is_drained, timeout_s=30, what="empty outbox")

    assert stored(stack)[0] == list(range(1, committed + 1))
    # Nobody was cut off meanwhile, and nothing had to be sent twice.
    assert stack.cloud.stored().duplicates == 0
    assert "protocol error" not in stack.processes.log_path(BROKER).read_text()


def test_a_device_that_the_broker_does_not_know_says_so_and_ends(stack):
    stack.start_cloud()
    stack.broker.password_file(stack.device.user).write_text("wrong")

    stack.start_agent()

    assert stack.processes.wait(AGENT, timeout_s=20) == 2
    log = stack.processes.log_path(AGENT).read_text()
    assert "refuses this device: Not authorized" in log or "Bad user name" in log


def test_two_devices_with_one_name_are_told_and_stop_cutting_each_other_off(stack):
    stack.start_cloud()
    stack.start_agent()
    argv = [sys.executable, "-m", "shopfloor_edge.main", "agent", "--site", str(stack.files.site)]

    stack.processes.start("twin", [*argv, "--state", str(stack.files.run_dir / "twin")])

    logs = [stack.processes.log_path(name) for name in (AGENT, "twin")]
    wait_until(
        lambda: any("does another device have the same site" in log.read_text() for log in logs),
        timeout_s=40,
        what="a word on the name",
    )
