"""Real footage through the real vision process: what people at the device get to see of it."""

import os
import subprocess
import sys

import cv2
import numpy as np
import pytest

from shopfloor_contracts.events import Kind
from shopfloor_demo.clips import places
from shopfloor_demo.settings import REPOSITORY
from shopfloor_edge.journal.alertbook import AlertBook
from shopfloor_edge.journal.history import read_heat, read_history
from shopfloor_edge.journal.outbox import Outbox

MIRROR = places(os.environ, REPOSITORY).mirror
FRAMES = 120
SITE = """site = "s"
device = "d"
window_s = 5
heat_s = 5
[[cameras]]
name = "path"
uri = "{uri}"
fps = 10
heat = true
lines = [{{ name = "across", a = [0.45, 0.56], b = [0.45, 0.24] }}]
zones = [{{ name = "all", polygon = [[0, 0], [1, 0], [1, 1], [0, 1]] }}]
[[rules]]
name = "crowd"
camera = "path"
metric = "people"
zone = "all"
above = 1
for_s = 1
"""
pytestmark = [
    pytest.mark.mirror,
    pytest.mark.timeout(120),
    pytest.mark.skipif(
        MIRROR is None or not (MIRROR / "data/mot15").is_dir(), reason="wants the mirror's mot15"
    ),
]
EVER = {"from_s": 0, "to_s": 1e11}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Twelve seconds of ``vtest.avi``."""
    folder = tmp_path_factory.mktemp("vtest")
    source = cv2.VideoCapture(str(MIRROR / "data/video/vtest.avi"))
    clip = cv2.VideoWriter(
        str(folder / "clip.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 10, (768, 576)
    )
    for _ in range(FRAMES):
        _, frame = source.read()
        clip.write(frame)
    clip.release()
    cv2.imwrite(str(folder / "first.png"), first_of(folder / "clip.avi"))
    (folder / "site.toml").write_text(SITE.format(uri=folder / "clip.avi"))
    command = [sys.executable, "-m", "shopfloor_edge.main", "vision"]
    command += ["--site", str(folder / "site.toml"), "--state", str(folder / "state")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    return folder


def first_of(clip):
    return cv2.VideoCapture(str(clip)).read()[1]


def test_history_and_alert_book_say_what_the_events_say(run):
    outbox = Outbox(run / "state", max_rows=10_000, max_bytes=10**8)
    events = [waiting.event.data for waiting in outbox.waiting(0, 1000)]
    outbox.close()
    book = AlertBook(run / "state")
    alerts = [*book.open(100), *book.settled(100)]
    book.close()

    history = read_history(run / "state", **EVER)

    told = [line for data in events for line in getattr(data, "lines", [])]
    kept = [one.figures for one in history if one.kind == Kind.TRAFFIC]
    crossings = (sum(k["in"] for k in kept), sum(k["out"] for k in kept))
    assert crossings == (sum(t.crossings_in for t in told), sum(t.crossings_out for t in told))
    assert sum(crossings) > 0
    assert sum(read_heat(run / "state", "path", **EVER)) > 200
    raised = {str(data.alert_id) for data in events if getattr(data, "rule", "") == "crowd"}
    assert {row.alert_id for row in alerts} == raised != set()


def test_everybody_on_the_picture_is_coarse_and_the_scene_is_not(run):
    """People where the truth of MOT15 has them in the frame that is shown."""
    shown = cv2.imread(str(run / "state/pictures/path.jpg"), cv2.IMREAD_GRAYSCALE)
    frame = cv2.imread(str(run / "first.png"), cv2.IMREAD_GRAYSCALE)
    frame = cv2.resize(frame, shown.shape[::-1], interpolation=cv2.INTER_AREA)
    truth = np.loadtxt(next((MIRROR / "data/mot15").rglob("PETS09-S2L1/gt/gt.txt")), delimiter=",")
    people = truth[truth[:, 0] == 1][:, 2:6] * (shown.shape[1] / 768)

    kept = [likeness(shown, frame, box) for box in people]

    assert len(kept) == 3
    assert max(kept) < 0.35
    assert likeness(shown, frame, (430, 10, 120, 60)) > 0.85


def likeness(shown, frame, box):
    """Return how much of a place's fine detail is still there: a correlation, 1 for all of it."""
    x, y, width, height = (round(float(side)) for side in box)
    parts = [
        picture[max(0, y) : y + height, max(0, x) : x + width].astype(float)
        for picture in (shown, frame)
    ]
    fine = [(part - cv2.blur(part, (5, 5))).ravel() for part in parts]
    return float(np.corrcoef(*fine)[0, 1])
