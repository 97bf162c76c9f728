"""The page *Zones* over a real server: checked, tried, saved as a version, gone back to."""

from __future__ import annotations

import json

import numpy as np
import pytest

from fakes.console_site import ConsoleSite, csrf
from shopfloor_contracts.targets import UpdateKind
from shopfloor_edge.journal.database import connect
from shopfloor_edge.settings import load_site
from shopfloor_edge.slots.domain import Step, fail
from shopfloor_edge.slots.file import SlotsFile
from shopfloor_edge.slots.store import Store
from shopfloor_edge.vision.footsteps import Footsteps

pytestmark = pytest.mark.timeout(90)
ZONE = {"name": "till", "polygon": [[0.1, 0.4], [0.6, 0.4], [0.6, 0.9]], "analytics": ["queue"]}
LINE = {"name": "gate", "a": [0.5, 0.1], "b": [0.5, 0.9]}


@pytest.fixture
def site(tmp_path):
    site = ConsoleSite(tmp_path / "state")
    yield site
    site.close()


class Manager:
    """Somebody who draws, without a browser."""

    def __init__(self, site: ConsoleSite) -> None:
        self.client = site.client("Ben")

    def page(self) -> str:
        return self.client.get("/zones").text

    def send(self, address="", *, base=None, **drawn):
        page = self.page()
        if base is None:
            base = page.split('data-base="')[1].split('"')[0]
        body = {"lines": [], "zones": [ZONE], "slots": [], "base": base} | drawn
        headers = {"x-csrf-token": csrf(page), "content-type": "application/json"}
        return self.client.post(
            f"/zones/camera/entrance{address}", content=json.dumps(body), headers=headers
        )


def run_trial(site, *, elapsed_s=60.0):
    """Vision has run what is on trial for a while."""
    attempt = SlotsFile(site.state).read().attempt
    connection = connect(site.state, durable=False)
    connection.execute(
        "INSERT INTO trials (digest, step, run, elapsed_s, frames, report)"
        " VALUES (?, 'trial', 'r', ?, 100, '{}')",
        (attempt.release.digest, elapsed_s),
    )
    connection.close()


def in_force(site):
    file = SlotsFile(site.state)
    release = file.read().runs(UpdateKind.CONFIG)
    return load_site(Store(file.folder).site_file(release.digest))


def test_a_drawing_is_tried_and_then_good(site):
    manager = Manager(site)

    saved = manager.send(lines=[LINE]).json()
    tried = SlotsFile(site.state).read()
    run_trial(site)
    standing = manager.client.get("/zones/status").json()

    after = SlotsFile(site.state).read()
    assert saved["version"] == 2
    assert (tried.attempt.step, tried.config.active) == (Step.TRIAL, None)
    assert (standing["tried"], standing["failed"]) == (False, "")
    assert after.config.active.digest == tried.attempt.release.digest
    assert [line.name for line in in_force(site).cameras[0].lines] == ["gate"]
    # Everything that is no geometry stays as it was provisioned.
    assert in_force(site).rules == site.site.rules
    assert in_force(site).cameras[1] == site.site.cameras[1]


def test_a_drawing_that_ran_too_short_is_not_good_yet(site):
    manager = Manager(site)
    manager.send(lines=[LINE])
    run_trial(site, elapsed_s=1.0)

    assert manager.client.get("/zones/status").json()["tried"]
    assert SlotsFile(site.state).read().config.active is None


def test_one_goes_back_to_any_version_and_to_what_was_installed(site):
    manager = Manager(site)
    manager.send(lines=[LINE])
    run_trial(site)
    page = manager.page()

    answer = manager.client.post("/zones/versions/1", data={"csrf": csrf(page)})
    run_trial(site)
    after = manager.page()

    assert answer.status_code == 303
    assert [line.name for line in in_force(site).cameras[0].lines] == ["door"]
    assert "back to version 1" in after
    assert "new line gate" in after
    assert after.count("Ben<br>") == 2


def test_a_drawing_that_vision_cannot_run_is_told_and_the_one_before_counts(site):
    manager = Manager(site)
    manager.send(lines=[LINE])
    SlotsFile(site.state).change(lambda slots: fail(slots, "expects 'milk', which is unknown"))

    page = manager.page()

    assert "which is unknown" in page
    assert SlotsFile(site.state).read().runs(UpdateKind.CONFIG) is None


def test_somebody_elses_drawing_is_not_overwritten(site):
    manager = Manager(site)
    base = manager.page().split('data-base="')[1].split('"')[0]
    manager.send(lines=[LINE])
    run_trial(site)
    manager.page()

    answer = manager.send(base=base)

    assert answer.status_code == 400
    assert "meanwhile" in answer.json()["problems"][0]


def test_a_second_drawing_waits_for_the_trial_of_the_first(site):
    manager = Manager(site)
    manager.send(lines=[LINE])

    answer = manager.send(lines=[])

    assert answer.status_code == 400
    assert "still being tried" in answer.json()["problems"][0]


@pytest.mark.parametrize(
    ("drawn", "said"),
    [
        (
            {"zones": [{"name": "till", "polygon": [[0, 0], [1, 1], [1, 0], [0, 1]]}]},
            "crosses itself",
        ),
        ({"zones": []}, "has no zone 'till'"),
        ({"lines": [LINE, LINE]}, "two lines are named 'gate'"),
        ({"lines": [{"name": "gate", "a": [0.5, 2.0], "b": [0, 0]}]}, "less than or equal to 1"),
        ({"lines": [{"name": "Gate ✗", "a": [0, 0], "b": [1, 1]}]}, "name"),
        ({"lines": [LINE] * 65}, "64"),
        ({"uri": "rtsp://elsewhere"}, "uri"),
        ({"slots": [{"name": "s", "box": [0.5, 0.5, 0.5, 0.6], "expects": "cup"}]}, "no area"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_kept(site, drawn, said):
    manager = Manager(site)

    for address in ("", "/preview"):
        answer = manager.send(address, **drawn)

        assert answer.status_code == 400
        assert any(said in problem for problem in answer.json()["problems"]), answer.text
    assert SlotsFile(site.state).read().attempt is None


def test_the_preview_counts_the_last_minutes_with_the_drawing(site):
    footsteps = Footsteps(site.state, "entrance")
    for step in range(80):
        point = np.array([[30.0 + 8 * step, 300.0]])
        footsteps.add(np.array([4]), point, size=(640, 480), at_s=1000 + step / 10)
    footsteps.close()

    told = Manager(site).send("/preview", lines=[LINE]).json()

    assert told["lines"] == {"gate": {"in": 0, "out": 1}}
    assert told["zones"]["till"]["max"] == 1
    assert told["span_s"] == pytest.approx(7.9)
    trails = Manager(site).client.get("/zones/camera/entrance/trails").json()["trails"]
    assert len(trails) == 1


def test_staff_may_not_draw(site):
    staff = site.client("Ana")
    headers = {"x-csrf-token": csrf(staff.get("/").text)}

    answers = [
        staff.get("/zones"),
        staff.post("/zones/camera/entrance", content="{}", headers=headers),
        staff.post("/zones/versions/1", headers=headers),
        staff.get("/zones/camera/entrance/trails"),
    ]

    assert [answer.status_code for answer in answers] == [403] * 4
    assert 'href="/zones"' not in staff.get("/").text


def test_a_drawing_without_the_forms_token_is_refused(site):
    manager = Manager(site)

    answer = manager.client.post("/zones/camera/entrance", content="{}")

    assert answer.status_code == 403
    assert SlotsFile(site.state).read().attempt is None


@pytest.mark.parametrize("camera", ["nowhere", "..%2f..%2fetc", "%00"])
def test_a_camera_that_is_none_is_not_found(site, camera):
    assert Manager(site).client.get(f"/zones/camera/{camera}").status_code == 404


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"base": 3}', b"\xff"])
def test_a_body_that_is_no_drawing_is_refused_with_a_line(site, body):
    manager = Manager(site)
    headers = {"x-csrf-token": csrf(manager.page())}

    answer = manager.client.post("/zones/camera/entrance", content=body, headers=headers)

    assert answer.status_code == 400
    assert answer.json()["problems"]
