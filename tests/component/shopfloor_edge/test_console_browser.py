"""The console in a real browser: two taps, two seconds, no barrier, nothing from elsewhere."""

import re
import time
from datetime import UTC, datetime, timedelta

import pytest

from fakes.accessible import barriers
from fakes.console_site import PIN, ConsoleSite

SIZES = {"landscape": (1024, 768), "portrait": (768, 1024), "phone": (390, 844)}
pytestmark = pytest.mark.timeout(180)


@pytest.fixture
def site(tmp_path):
    site = ConsoleSite(tmp_path / "state")
    site.see()
    yield site
    site.close()


@pytest.fixture
def complaints():
    """What a browser complained of, or fetched from elsewhere."""
    found = []
    yield found
    assert found == []


@pytest.fixture
def open_page(browser, site, complaints):
    contexts = []

    def open_page(name="Ana", path="/", **context):
        contexts.append(browser.new_context(**context))
        context = contexts[-1]
        context.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
        elsewhere = re.compile(f"^(?!{re.escape(site.url)}/|data:)")
        context.on("request", lambda r: elsewhere.match(r.url) and complaints.append(r.url))
        return site.open_page(context, name, path)

    yield open_page
    for context in contexts:
        context.close()


def test_an_alert_shows_within_two_seconds_and_is_settled_with_one_tap(site, open_page):
    page = open_page()
    page.wait_for_selector("body[data-live=yes]")
    assert page.get_by_role("heading", name="Nothing to do").is_visible()

    raised = time.monotonic()
    alert = site.raise_alert(severity="critical")
    page.wait_for_selector(f"#alert-{alert}")
    took_s = time.monotonic() - raised
    page.get_by_role("button", name="I see to it").click()
    page.get_by_text("Ana sees to it").wait_for()

    assert took_s < 2.0
    page.locator("[data-count]").wait_for(state="hidden")


def test_a_tablet_that_nobody_is_signed_in_to_says_that_an_alert_waits(site, browser):
    context = browser.new_context()
    page = context.new_page()
    page.goto(site.url + "/enrol/" + site.desk.tablets.invite("till-1"))
    page.locator("main button").click()
    page.get_by_text("Who are you?").wait_for()
    assert barriers(page) == []

    site.raise_alert()

    page.get_by_text("1 alert waits.").wait_for()
    assert "Queue" not in page.content()
    page.get_by_text("Ana", exact=True).click()
    page.get_by_label("PIN").fill(PIN)
    page.locator("main button").click()
    page.get_by_text("Queue at till").wait_for()
    context.close()


def test_a_snooze_is_two_taps_and_a_mistake_is_taken_back(site, open_page):
    site.raise_alert()
    page = open_page()

    page.locator("summary", has_text="Later").click()
    page.get_by_role("button", name="in 1 hour").click()
    page.get_by_role("button", name="Undo").click()

    page.get_by_role("button", name="I see to it").wait_for()
    assert site.desk.deeds.pending() == {}


def test_a_tap_on_one_tablet_shows_on_the_other(site, open_page):
    site.raise_alert()
    one, other = open_page("Ana"), open_page("Ben")
    other.wait_for_selector("body[data-live=yes]")

    one.get_by_role("button", name="Wrong alert").click()

    other.get_by_text("wrong alert", exact=False).first.wait_for()
    other.get_by_role("button", name="Undo").wait_for()


@pytest.mark.attack("a script in an alert, in a browser")
def test_a_script_in_an_alert_does_nothing(site, open_page, complaints):
    site.raise_alert(
        metric="camera", about=None, note="<img src=x onerror=\"document.title='owned'\">"
    )

    page = open_page()

    assert page.get_by_text("onerror").is_visible()
    assert "owned" not in page.title()


def test_a_page_says_that_it_is_live_and_when_it_is_not(site, open_page, complaints):
    page = open_page()
    page.wait_for_selector("body[data-live=yes]")

    site.desk.live.close()
    page.wait_for_selector("body[data-live=no]")

    assert page.locator(".stale-bar").is_visible()
    assert page.locator(".live-no").is_visible()
    complaints.clear()


def test_a_page_that_lost_its_connection_catches_up(site, open_page, complaints):
    page = open_page()
    page.wait_for_selector("body[data-live=yes]")
    page.context.set_offline(True)
    site.desk.live.drop()
    page.wait_for_selector("body[data-live=no]")
    alert = site.raise_alert()

    page.context.set_offline(False)

    page.wait_for_selector("body[data-live=yes]")
    page.wait_for_selector(f"#alert-{alert}")
    complaints.clear()


def test_a_device_that_does_not_answer_is_told_by_a_page_of_its_own(site, open_page, complaints):
    page = open_page()
    page.evaluate("navigator.serviceWorker.ready.then(() => true)")
    page.wait_for_function("navigator.serviceWorker.controller !== null")

    page.context.set_offline(True)
    page.goto(site.url + "/")

    assert page.get_by_text("The device does not answer").is_visible()
    page.context.set_offline(False)
    complaints.clear()


@pytest.mark.parametrize(
    ("size", "scheme"),
    [("landscape", "light"), ("portrait", "dark"), ("phone", "light"), ("phone", "dark")],
)
def test_no_page_has_a_barrier(site, open_page, complaints, size, scheme):
    long_ago = datetime.now(UTC) - timedelta(minutes=48)
    site.raise_alerts(
        [
            {"number": 1, "severity": "critical", "at": long_ago, "since": long_ago},
            {"number": 2, "camera": "aisle", "metric": "slot-empty", "about": "milk"},
            {"number": 3, "camera": "aisle", "metric": "camera", "about": None, "note": "covered"},
        ]
    )
    site.desk.tablets.enrol(site.desk.tablets.invite("till-1"))
    width, height = SIZES[size]
    found = {}

    page = open_page("Ines", viewport={"width": width, "height": height}, color_scheme=scheme)
    page.locator(".alert details.snooze summary").first.click()
    found["now"] = barriers(page)
    for path in ("/health", "/health/rollback/model", "/nowhere", "/sign-in"):
        page.goto(site.url + path)
        found[path] = barriers(page)
    complaints[:] = [one for one in complaints if "404" not in one]

    assert [f"{path}: {line}" for path, lines in found.items() for line in lines] == []
