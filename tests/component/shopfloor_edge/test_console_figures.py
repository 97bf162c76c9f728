"""Pages Today and Cameras over a real server, fed as vision feeds them."""

import os
import re
import sqlite3
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from fakes.accessible import barriers
from fakes.console_site import ConsoleSite, camera_row
from shopfloor_contracts.aggregates import HeatData
from shopfloor_contracts.events import CameraStatus, LineCount, TrafficData
from shopfloor_edge.journal.outbox import Draft, Outbox
from shopfloor_edge.journal.state import StateWriter

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
SOURCE = "/sites/store-1/devices/door/cameras/entrance"
WINDOW = {
    "window_s": 900,
    "coverage_ratio": 0.8,
    "frames": 9000,
    "model_digest": "3f" * 32,
    "zone_version": "0a1b2c3d4e5f",
    "backend": "onnxruntime",
    "precision": "fp32",
}
JPEG = bytes.fromhex("ffd8ffd9")


@pytest.fixture
def site(tmp_path):
    site = ConsoleSite(tmp_path / "state", clock=lambda: NOON)
    yield site
    site.close()


def count(site, came, *, weeks=0):
    at = NOON - timedelta(weeks=weeks, hours=1)
    data = TrafficData(window_start=at, **WINDOW, lines=[LineCount(line="door", crossings_in=came)])
    commit(site, data)


def commit(site, *data):
    outbox = Outbox(site.state, max_rows=1000, max_bytes=10**8)
    outbox.commit([Draft(one, SOURCE, NOON) for one in data])
    outbox.close()


def describe(site, *rows):
    writer = StateWriter(site.state)
    writer.write(rows)
    writer.close()


def picture(site, name, at_s):
    folder = site.state / "pictures"
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(JPEG)
    os.utime(folder / name, (at_s, at_s))


def text_of(html):
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())


def test_today_says_how_much_more_than_usual_and_what_it_rests_on(site):
    count(site, 30)
    for weeks in (1, 2):
        count(site, 20, weeks=weeks)

    answer = site.client().get("/today")

    said = text_of(answer.text)
    assert "People in 30 ▲ 50 % more than usual" in said
    assert "2 of 4 weeks are known" in said
    assert "3f3f3f3f3f3f onnxruntime fp32" in said
    assert "80 % of the time seen" in said
    assert "Accuracy not measured yet" in said
    assert "11:00" in said or "12:00" in said


def test_one_week_alone_is_not_called_usual(site):
    count(site, 30)
    count(site, 20, weeks=1)

    said = text_of(site.client().get("/today").text)

    assert "than usual" not in said
    assert "Only one Saturday is known yet" in said


def test_a_device_that_has_counted_nothing_says_so(site):
    said = text_of(site.client().get("/today").text)

    assert "Nothing has been counted today yet" in said


@pytest.mark.attack("a path as a camera's name")
def test_each_camera_has_its_figures_and_another_name_is_refused(site):
    count(site, 30)
    client = site.client()

    other, unknown = client.get("/today?camera=aisle"), client.get("/today?camera=../state.db")

    assert "People in" not in text_of(other.text)
    assert unknown.status_code == 404


def test_heat_is_an_image_over_the_masked_background(site):
    cells = [[0.0] * 32 for _ in range(18)]
    cells[9][16] = 120.0
    commit(site, HeatData(window_start=NOON, **WINDOW, observed_s=700, people_s=120, cells_s=cells))
    picture(site, "entrance.empty.jpg", NOON.timestamp())
    client = site.client()

    page, image = client.get("/today").text, client.get("/today/heat/entrance.svg")

    assert "/pictures/entrance.empty.jpg" in page
    assert image.headers["content-type"] == "image/svg+xml"
    assert image.text.count("<rect") == 1
    assert client.get("/today/heat/..%2Fstate.svg").status_code == 404


def test_accuracy_that_people_measured_stands_beside_the_figure(site):
    count(site, 30)
    # As the page Audit keeps it.
    connection = sqlite3.connect(site.state / "state.db")
    row = {
        "source": SOURCE,
        "sort": "line",
        "subject": "door",
        "model_digest": "3f" * 32,
        "backend": "onnxruntime",
        "precision": "fp32",
        "zone_version": "0a1b2c3d4e5f",
        "audits": 1,
        "clips": 40,
        "agreed": 38,
        "missed": 1,
        "false_items": 1,
        "accuracy": 0.964,
        "low": 0.93,
        "high": 0.98,
        "effective": 40.0,
        "first_at": 1.0,
        "last_at": 1.0,
        "audited_at": 1.0,
    }
    names, holes = ", ".join(row), ", ".join(f":{name}" for name in row)
    with connection:
        connection.execute(f"INSERT INTO audited ({names}) VALUES ({holes})", row)  # noqa: S608
    connection.close()

    said = text_of(site.client().get("/today").text)

    assert "Checked by people: 96.4 % right (93.0–98.0 %, 40 clips)" in said


def test_a_camera_that_does_not_see_says_why_and_what_to_do(site):
    now_s = NOON.timestamp()
    absent = replace(
        camera_row("aisle", now_s),
        status=CameraStatus.ABSENT,
        reason="<b>10.0.0.7</b>: no answer on port 554 within 3 s",
    )
    describe(site, camera_row("entrance", now_s), absent)

    answer = site.client().get("/cameras")

    said = text_of(answer.text)
    assert "1 camera does not see" in said
    assert "Not reachable" in said
    assert "Check its network cable" in said
    assert "<b>10.0.0.7" not in answer.text


def test_nothing_is_watched_when_vision_does_not_run(site):
    said = text_of(site.client().get("/cameras").text)

    assert said.count("Not watched") == 2


def test_an_open_page_asks_for_pictures_and_hears_which_are_new(site):
    now_s = NOON.timestamp()
    describe(site, camera_row("entrance", now_s), camera_row("aisle", now_s))
    picture(site, "entrance.jpg", now_s - 1)
    picture(site, "aisle.jpg", now_s - 600)
    wanted = site.state / "pictures" / ".wanted"
    client = site.client()
    assert not wanted.exists()

    heard = client.get("/cameras/now").json()

    assert heard["entrance"] == {"stamp": int(now_s - 1) * 1000, "live": True, "cause": "live"}
    assert heard["aisle"]["live"] is False
    assert time.time() - wanted.stat().st_mtime < 30


@pytest.mark.parametrize("path", ["/today", "/cameras", "/cameras/now", "/today/heat/entrance.svg"])
@pytest.mark.attack("pictures without signing in")
def test_nobody_sees_figures_or_pictures_without_signing_in(path, site):
    answer = site.client(None).get(path)

    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/sign-in")


@pytest.fixture
def live(tmp_path):
    """A site whose clock goes, with a picture and figures."""
    site = ConsoleSite(tmp_path / "live")
    site.see()
    picture(site, "entrance.jpg", time.time())
    at = datetime.now(UTC).replace(microsecond=0)
    lines = [LineCount(line="door", crossings_in=31)]
    commit(site, TrafficData(window_start=at - timedelta(minutes=1), **WINDOW, lines=lines))
    cells = [[0.5] * 32 for _ in range(18)]
    commit(site, HeatData(window_start=at, **WINDOW, observed_s=9, people_s=288, cells_s=cells))
    yield site
    site.close()


@pytest.mark.timeout(120)
def test_a_browser_shows_new_pictures_and_says_when_a_camera_goes(live, browser):
    complaints = []
    context = browser.new_context()
    context.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
    page = live.open_page(context, path="/cameras")
    card = page.locator("[data-camera=entrance]")
    first = card.locator("img").get_attribute("data-stamp")

    live.see()
    picture(live, "entrance.jpg", time.time() + 1)
    page.wait_for_selector(f"[data-camera=entrance] img:not([data-stamp='{first}'])")
    now_s = time.time()
    gone = replace(camera_row("entrance", now_s), status=CameraStatus.STALLED)
    describe(live, gone, camera_row("aisle", now_s))
    card.get_by_text("Stands still").wait_for()

    context.close()
    assert complaints == []


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("size", "scheme"),
    [((390, 844), "dark"), ((1024, 768), "light")],
    ids=["phone, dark", "tablet, light"],
)
def test_neither_page_has_a_barrier(size, scheme, live, browser):
    now_s = time.time()
    gone = replace(camera_row("aisle", now_s), status=CameraStatus.ABSENT, reason="no answer")
    describe(live, camera_row("entrance", now_s), gone)
    viewport = {"width": size[0], "height": size[1]}
    context = browser.new_context(viewport=viewport, color_scheme=scheme)
    page = live.open_page(context, path="/today")

    page.locator(".figures summary").first.click()
    found = barriers(page)
    page.goto(live.url + "/cameras")
    found += barriers(page)

    context.close()
    assert found == []
