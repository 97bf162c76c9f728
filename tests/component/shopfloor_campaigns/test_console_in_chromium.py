"""The console in a real browser: sign in, watch a wave, abort it; nothing from elsewhere."""

import re

import pytest

from fakes.accessible import barriers
from fakes.campaign_devices import Cloud, plan
from shopfloor_kit.tokens import Role

pytestmark = pytest.mark.timeout(180)
PAGES = ["/", "/campaigns/nano-2", "/campaigns/nano-2/waves/1", "/campaigns/nano-2/orders/abort"]
PAGES += ["/devices", "/devices/s0.d", "/models", "/audit", "/new-campaign"]


@pytest.fixture
def cloud(tmp_path):
    cloud = Cloud(f"sqlite:///{tmp_path}/campaigns.db")
    yield cloud
    cloud.close()


@pytest.fixture
def complaints():
    """What a browser complained of, or fetched from elsewhere."""
    found = []
    yield found
    assert found == []


@pytest.fixture
def open_page(browser, cloud, complaints):
    contexts = []

    def open_page(role=Role.APPROVER, **context):
        contexts.append(browser.new_context(**context))
        page = contexts[-1].new_page()
        page.set_default_timeout(20_000)
        page.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda e: complaints.append(str(e)))
        page.on("dialog", lambda d: (complaints.append(d.message), d.dismiss()))
        elsewhere = re.compile(f"^(?!{re.escape(cloud.url)}/|data:)")
        page.on("request", lambda r: complaints.append(r.url) if elsewhere.match(r.url) else None)
        page.goto(cloud.url + "/campaigns/nano-2")
        page.get_by_label("Token").fill(cloud.tokens[role])
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url("**/campaigns/nano-2")
        return page

    yield open_page
    for context in contexts:
        context.close()


@pytest.fixture
def devices(cloud):
    devices = cloud.add(4)
    gates = [
        {"gate": "install-success", "limit": 0.5, "minimum": 1},
        {"gate": "count-difference", "limit": 0.05, "minimum": 1000},
    ]
    cloud.create(plan(waves=[1, "100%"], gates=gates))
    cloud.ordered("nano-2", "approve", "start")
    return devices


def test_a_wave_is_watched_as_it_goes_without_a_reload(cloud, devices, open_page):
    page = open_page()
    page.evaluate("window.stays = true")
    first, second = page.locator(".wave").all()
    assert "Running" in first.inner_text()

    next(d for d in devices if d.action()).install(counts=(5000, 5, 6))
    cloud.settle()

    first.get_by_text("Passed").wait_for()
    second.get_by_text("Running").wait_for()
    assert first.locator("svg.plot").count() == 2
    assert "Wave 2 of 2" in page.locator("#said").inner_text()
    assert page.evaluate("window.stays") is True


def test_aborting_asks_for_a_reason_and_tells_the_devices(cloud, devices, open_page):
    busy = next(d for d in devices if d.action())
    busy.say(busy.action(), "download")
    page = open_page(Role.OPERATOR)

    page.get_by_role("link", name="Abort").click()
    page.get_by_role("button", name="Abort").click()
    assert cloud.show("nano-2")["status"] == "running"
    page.get_by_label("Why").fill("the door is being painted")
    page.keyboard.press("Enter")
    page.wait_for_url("**/campaigns/nano-2")

    page.locator("h1").get_by_text("Aborted").wait_for()
    assert page.get_by_text("the door is being painted").count() == 2
    assert cloud.show("nano-2")["status"] == "aborted"
    assert "cancelAction" in busy.links()


def test_a_script_in_a_devices_words_does_not_run(cloud, devices, open_page):
    evil = "<img src=x onerror=alert(1)><script>alert(2)</script>"
    devices[0].put("configData", {"mode": "merge", "data": {"board": evil}})
    busy = next(d for d in devices if d.action())
    busy.say(busy.action(), "closed", "failure", details=[evil])
    page = open_page()

    for place in (f"/devices/{devices[0].name}", f"/devices/{busy.name}"):
        page.goto(cloud.url + place)
        assert page.get_by_text("<script>alert(2)</script>").count() >= 1
        assert page.locator("main img, main script").count() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everything_has_a_name_a_size_and_a_contrast(cloud, devices, open_page, scheme):
    next(d for d in devices if d.action()).install(counts=(5000, 5, 6))
    cloud.settle()
    page = open_page(color_scheme=scheme)

    found = {}
    for place in PAGES:
        page.goto(cloud.url + place)
        found[place] = barriers(page)

    assert found == {place: [] for place in PAGES}


def test_a_phone_needs_no_scrolling_to_the_side(cloud, devices, open_page):
    page = open_page(viewport={"width": 360, "height": 740})

    wide = []
    for place in PAGES:
        page.goto(cloud.url + place)
        wide += [place] * page.evaluate("document.documentElement.scrollWidth > innerWidth")

    assert wide == []


def test_times_are_in_the_viewers_zone_with_utc_beside(devices, open_page):
    page = open_page(timezone_id="Asia/Tokyo", locale="en-GB")

    shown = page.locator(".timeline time").first

    assert "21:00" in shown.inner_text()
    assert shown.get_attribute("title") == "2026-03-02 12:00:00 UTC"


def test_the_keyboard_reaches_the_content_and_the_orders(devices, open_page):
    page = open_page()
    page.reload()

    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    reached = []
    for _ in range(4):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.textContent"))

    assert "Pause…" in reached
    assert "Abort…" in reached


def test_a_form_counts_the_devices_as_it_is_written(cloud, devices, open_page):
    cloud.add_named(["x.d"], region="emea")
    page = open_page()
    page.goto(cloud.url + "/new-campaign")
    page.get_by_text("5 of 5 devices take part").wait_for()

    page.get_by_label("Labels").fill("region=emea")

    page.get_by_text("1 of 5 devices take part").wait_for()
