"""The console in a real browser."""

import re
from pathlib import Path

import pytest

from fakes.console_site import ConsoleSite

CHROMIUM = Path("/usr/bin/chromium")
sync_api = pytest.importorskip("playwright.sync_api", reason="wants playwright")
pytestmark = [
    pytest.mark.skipif(not CHROMIUM.exists(), reason="wants Debian's chromium"),
    pytest.mark.timeout(180),
]


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-gpu"]
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=arguments)
        yield browser
        browser.close()


@pytest.fixture
def site(tmp_path):
    site = ConsoleSite(tmp_path / "state")
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
        contexts[-1].on("console", lambda m: complaints.append(m.text) if m.type == "error" else 0)
        elsewhere = re.compile(f"^(?!{re.escape(site.url)}/|data:)")
        contexts[-1].on(
            "request", lambda r: complaints.append(r.url) if elsewhere.match(r.url) else 0
        )
        return site.open_page(contexts[-1], name, path)

    yield open_page
    for context in contexts:
        context.close()


def test_a_page_says_that_it_is_live_and_when_it_is_not(site, open_page, complaints):
    page = open_page()
    page.wait_for_selector("body[data-live=yes]")

    site.desk.live.close()
    page.wait_for_selector("body[data-live=no]")

    assert page.locator(".stale-bar").is_visible()
    assert page.locator(".live-no").is_visible()
    complaints.clear()
