"""The vision process as Prometheus sees it: a real process, a real scrape, loopback only."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request

import pytest

from fakes.detector import make_clip, make_zoo, zoo_environment

pytest.importorskip("cv2")

SITE = """site = "s"
device = "d"
[metrics]
port = {port}
[[cameras]]
name = "door"
uri = "{clip}"
lines = [{{name = "l", a = [0.5, 0.0], b = [0.5, 1.0]}}]
[[cameras]]
name = "yard"
uri = "rtsp://127.0.0.1:9/none"
"""


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def scrape(port):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as reply:
            return reply.read().decode()
    except OSError:
        return ""


def wait_for(port, *lines, timeout_s=30.0):
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        text = scrape(port)
        if all(line in text for line in lines):
            return text
        time.sleep(0.1)
    raise AssertionError(f"not there: {[line for line in lines if line not in text]}\n{text}")


def command(tmp_path, port):
    clip = make_clip(tmp_path / "clip.avi", frames=15)
    site = tmp_path / "site.toml"
    site.write_text(SITE.format(port=port, clip=clip))
    environment = zoo_environment(make_zoo(tmp_path / "zoo"), tmp_path / "cache")
    arguments = ["-m", "shopfloor_edge.main", "vision", "--site", str(site)]
    return (
        [sys.executable, *arguments, "--state", str(tmp_path / "state")],
        {**os.environ, **environment},
    )


def test_a_running_process_answers_a_scrape(tmp_path):
    port = free_port()
    argv, environment = command(tmp_path, port)
    child = subprocess.Popen(argv, env=environment, stderr=subprocess.DEVNULL)
    try:
        text = wait_for(
            port,
            'shopfloor_vision_frames_total{camera="door",fate="inferred"} 15.0',
            'shopfloor_vision_camera_state{camera="door",status="ended"} 1.0',
            'shopfloor_vision_camera_state{camera="yard",status="absent"} 1.0',
        )
        child.send_signal(signal.SIGTERM)
        assert child.wait(15) == 0
    finally:
        child.kill()
        child.wait()

    assert 'shopfloor_vision_inference_seconds_count{camera="door"} 15.0' in text
    assert 'shopfloor_vision_losses_total{camera="yard",status="absent"} 1.0' in text


def test_a_taken_port_is_one_line_and_exit_2(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        argv, environment = command(tmp_path, taken.getsockname()[1])

        done = subprocess.run(
            argv, env=environment, capture_output=True, text=True, timeout=60, check=False
        )

    assert done.returncode == 2
    (line,) = [line for line in done.stderr.splitlines() if not line.startswith("{")]
    assert "[metrics] port" in line
