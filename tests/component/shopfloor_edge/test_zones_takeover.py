"""Vision takes a drawing over while a camera runs: every window is told, none of them twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import defaultdict
from itertools import pairwise
from pathlib import Path

import pytest

from fakes.mjpeg import mjpeg_camera
from shopfloor_contracts.site import parse_site
from shopfloor_contracts.targets import UpdateKind
from shopfloor_edge.journal.outbox import Outbox
from shopfloor_edge.journal.trials import Trials
from shopfloor_edge.slots.file import SlotsFile
from shopfloor_edge.slots.local import settle, try_site
from shopfloor_edge.slots.site_text import site_text

pytestmark = [pytest.mark.gstreamer, pytest.mark.timeout(120)]
SITE = """
site = "oslo"
device = "door"
window_s = 2
model = { backend = "motion" }

[[cameras]]
name = "hall"
uri = "ADDRESS"
picture_check = false
lines = [{ name = "gate", a = [X, 0.1], b = [X, 0.9] }]
"""


@pytest.fixture
def camera():
    pytest.importorskip("shopfloor_demo.gst", reason="wants GStreamer from the OS packages")
    with mjpeg_camera() as address:
        yield address


def text_of(address: str, x: float) -> str:
    site = parse_site(SITE.replace("ADDRESS", address).replace("X", str(x)), source="test")
    return site_text(site, comment=f"line at {x}")


def windows(state: Path):
    """Return each traffic event: start of its window, zone version, seconds observed."""
    outbox = Outbox(state, max_rows=100_000, max_bytes=10**8)
    try:
        found = [one.event.data for one in outbox.waiting(0, 1000)]
    finally:
        outbox.close()
    return [
        (d.window_start.timestamp(), d.zone_version, d.coverage_ratio * d.window_s)
        for d in found
        if hasattr(d, "lines")
    ]


def until(check, seconds=40.0):
    end = time.monotonic() + seconds
    while not (found := check()):
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.1)
    return found


def commit_when_endured(state: Path) -> bool:
    attempt = SlotsFile(state).read().attempt
    if attempt is None:
        return True
    trials = Trials(state)
    newest, _ = trials.endured(attempt.release.digest, "trial")
    trials.close()
    return settle(state, endured_s=newest.elapsed_s, frames=newest.frames).attempt is None


def test_a_drawing_is_taken_over_without_losing_or_doubling_a_window(tmp_path, camera):
    file, state = tmp_path / "site.toml", tmp_path / "state"
    file.write_text(text_of(camera, 0.3))
    new = text_of(camera, 0.6)
    command = [sys.executable, "-m", "shopfloor_edge.main", "vision", "--site", str(file)]
    vision = subprocess.Popen([*command, "--state", str(state)], env=os.environ,
                              stderr=subprocess.DEVNULL)  # fmt: skip
    try:
        until(lambda: state.is_dir() and len([w for w in windows(state) if w[2] > 1]) >= 2)
        try_site(state, new, version="2")
        until(lambda: len({w[1] for w in windows(state) if w[2] > 1}) == 2)
        until(lambda: commit_when_endured(state))
        good = SlotsFile(state).read().config.active
    finally:
        vision.send_signal(signal.SIGTERM)
        code = vision.wait(timeout=30)

    seconds: dict[float, float] = defaultdict(float)
    for start, _, observed_s in windows(state):
        seconds[start] += observed_s
    starts = sorted(seconds)
    assert code == 0
    assert good is not None
    assert SlotsFile(state).read().runs(UpdateKind.CONFIG) == good
    # Each stretch of time is in one window of each version at most, and none is missing.
    keys = [(start, version) for start, version, _ in windows(state)]
    assert len(keys) == len(set(keys))
    assert [b - a for a, b in pairwise(starts)] == [2.0] * (len(starts) - 1)
    assert max(seconds.values()) <= 2.0 + 1e-6
    # Only the seconds of the change are not observed.
    assert sum(2.0 - s for s in [seconds[start] for start in starts[1:-1]]) < 6.0
