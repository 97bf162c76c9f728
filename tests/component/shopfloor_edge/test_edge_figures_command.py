"""Every analytic, alerts, evidence and the ledger through the real vision process."""

import json
import os
import subprocess
import sys

import cv2
import pytest

from fakes.detector import make_clip, make_zoo, zoo_environment
from shopfloor_contracts.events import Kind
from shopfloor_edge.journal.alertbook import AlertBook
from shopfloor_edge.journal.history import read_heat, read_history
from shopfloor_edge.journal.outbox import Outbox

SITE = """site = "s"
device = "d"
window_s = 60
[[cameras]]
name = "door"
uri = "{uri}"
heat = true
zones = [
    {{name = "all", polygon = [[0, 0], [1, 0], [1, 1], [0, 1]], analytics = ["dwell", "queue"]}},
    {{name = "counted", polygon = [[0, 0], [1, 0], [1, 1], [0, 1]]}},
]
[[rules]]
name = "keep-out"
camera = "door"
metric = "restricted"
zone = "all"
severity = "critical"
[evidence]
enabled = true
before_s = 1
after_s = 1
"""


def edge(*arguments, env):
    return subprocess.run(
        [sys.executable, "-m", "shopfloor_edge.main", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, **env},
    )


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    # In the 64 x 48 px that the clip's picture takes of the input: well inside of it.
    zoo = make_zoo(tmp_path_factory.mktemp("zoo"), box=(10, 10, 30, 36))
    return zoo_environment(zoo, tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def run(tmp_path_factory, environment):
    """Five seconds in which the detector sees one person, always in the same place."""
    folder = tmp_path_factory.mktemp("run")
    clip = make_clip(folder / "clip.avi", frames=50)
    (folder / "site.toml").write_text(SITE.format(uri=clip))
    state = folder / "state"
    done = edge("vision", "--site", folder / "site.toml", "--state", state, env=environment)
    assert done.returncode == 0, done.stderr
    return state


@pytest.fixture(scope="module")
def events(run):
    outbox = Outbox(run, max_rows=1000, max_bytes=10**7)
    found = [waiting.event for waiting in outbox.waiting(0, 100)]
    outbox.close()
    return found


def of(events, kind):
    return [event.data for event in events if event.type == f"shopfloor.{kind}.v1"]


def test_each_analytic_that_the_site_asks_for_has_its_event(events):
    assert {event.type.split(".")[1] for event in events} == {
        Kind.OCCUPANCY,
        Kind.DWELL,
        Kind.QUEUE,
        Kind.HEAT,
        Kind.ALERT,
    }


def test_head_counts_are_told_only_of_zones_that_ask_for_them(events):
    zones = {zone.zone for data in of(events, "occupancy") for zone in data.zones}

    assert zones == {"counted"}


def test_one_person_who_stays_is_one_visit_one_queue_and_one_warm_cell(events):
    visits = [zone for data in of(events, "dwell") for zone in data.zones]
    queues = [zone for data in of(events, "queue") for zone in data.zones]
    heat = of(events, "heat")

    assert sum(zone.entries for zone in visits) == sum(zone.exits for zone in visits) == 1
    assert sum(zone.dwell_s for zone in visits) == pytest.approx(4.5, abs=0.6)
    assert max(zone.people_max for zone in queues) == 1
    assert sum(data.people_s for data in heat) == pytest.approx(4.5, abs=0.6)
    assert sum(cell > 0 for data in heat for row in data.cells_s for cell in row) <= 2 * len(heat)


def test_figures_name_what_they_rest_on(events):
    for event in events:
        if event.type != "shopfloor.alert.v1":
            assert event.data.backend == "onnxruntime"
            assert event.data.precision == "fp32"
            assert event.data.degraded is False


def test_a_rule_is_said_once_for_one_person(events):
    alerts = of(events, "alert")

    assert [(alert.rule, alert.state, alert.severity) for alert in alerts] == [
        ("keep-out", "raised", "critical")
    ]


def test_the_clip_shows_the_time_around_the_alert_and_nobody(run):
    (path,) = (run / "evidence").iterdir()

    done, animation = cv2.imreadanimation(str(path))

    assert done
    assert path.name.endswith("-door-keep-out.webp")
    assert 10 <= len(animation.frames) <= 25
    grey = cv2.cvtColor(animation.frames[0], cv2.COLOR_BGRA2GRAY)
    # Noise all over the camera's picture, and blocks where the person is.
    assert cv2.Laplacian(grey[22:70, 22:58], cv2.CV_64F).std() < 30
    assert cv2.Laplacian(grey[:, 75:], cv2.CV_64F).std() > 60


def test_the_ledger_shows_each_figure_and_what_it_rests_on(run, environment):
    table = edge("ledger", "--state", run, env=environment)
    rows = json.loads(edge("ledger", "--state", run, "--json", env=environment).stdout)["ledger"]

    assert table.returncode == 0
    assert {row["kind"] for row in rows} == {"occupancy", "dwell", "queue", "heat"}
    assert all(row["backend"] == "onnxruntime" and row["windows"] >= 1 for row in rows)
    assert "onnxruntime fp32" in table.stdout


def test_a_slot_whose_product_the_model_does_not_know_is_told(tmp_path, environment):
    text = SITE.format(uri=make_clip(tmp_path / "clip.avi", frames=2))
    slot = '[[cameras.slots]]\nname = "left"\nbox = [0.1, 0.1, 0.2, 0.3]\nexpects = "bottle"\n'
    (tmp_path / "site.toml").write_text(text.replace("[[rules]]", slot + "[[rules]]"))

    done = edge(
        "vision", "--site", tmp_path / "site.toml", "--state", tmp_path / "s", env=environment
    )

    assert done.returncode == 2
    words = "camera 'door', slot 'left' expects 'bottle', which bundle person-nano does not know"
    assert words in done.stderr


def test_the_alert_book_knows_the_alert_and_where_its_clip_lies(run):
    book = AlertBook(run)

    [row] = book.open(10)

    book.close()
    assert (row.rule, row.camera, row.about, row.state) == ("keep-out", "door", "all", "open")
    assert (run / row.evidence).is_file()


def test_the_history_says_what_the_events_say(run, events):
    history = read_history(run, from_s=0, to_s=1e11)

    kept = {kind: [one for one in history if one.kind == kind] for kind in ("dwell", "queue")}
    told = [zone for data in of(events, "dwell") for zone in data.zones]
    queued = [zone for data in of(events, "queue") for zone in data.zones]
    assert sum(one.figures["entries"] for one in kept["dwell"]) == sum(z.entries for z in told) == 1
    assert sum(one.figures["people_s"] for one in kept["queue"]) == pytest.approx(
        sum(zone.people_s for zone in queued), abs=0.01
    )
    heat = read_heat(run, "door", from_s=0, to_s=1e11)
    assert sum(heat) / 10 == pytest.approx(sum(d.people_s for d in of(events, "heat")), abs=0.5)


def test_there_is_a_masked_picture_and_a_background(run):
    pictures = run / "pictures"

    assert {path.name for path in pictures.iterdir()} == {"door.jpg", "door.empty.jpg"}
    for name in ("door.jpg", "door.empty.jpg"):
        grey = cv2.imread(str(pictures / name), cv2.IMREAD_GRAYSCALE)
        # Noise all over the camera's picture, and blocks where the person is.
        assert cv2.Laplacian(grey[22:70, 22:58], cv2.CV_64F).std() < 30
        assert cv2.Laplacian(grey[:, 75:], cv2.CV_64F).std() > 60
