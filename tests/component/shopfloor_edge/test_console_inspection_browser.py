"""The page *Inspection* in a real browser: taps that take effect at once."""

import pytest

from fakes.console_site import ConsoleSite
from fakes.line_book import fill_book
from shopfloor_edge.journal.parts import read_overrules

pytestmark = pytest.mark.timeout(180)


@pytest.fixture
def site(tmp_path):
    site = ConsoleSite(tmp_path / "state")
    fill_book(site.state, "p" * 30 + "fr")
    yield site
    site.close()


def test_a_tap_says_it_and_another_takes_it_back(site, browser):
    errors = []
    context = browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True)
    context.on("console", lambda m: errors.append(m.text) if m.type == "error" else None)
    page = site.open_page(context, "Ana", "/inspection")
    card = page.locator("#part-31")

    card.get_by_role("button", name="Good").tap()
    card.get_by_text("Saved: good").wait_for()
    said = [(one.part, one.good) for one in read_overrules(site.state, "aoi")]
    card.get_by_role("button", name="Undo").tap()
    card.get_by_role("button", name="Bad").wait_for()

    assert said == [(31, True)]
    assert read_overrules(site.state, "aoi") == []
    small = page.eval_on_selector_all(
        "main a.button, main button, main summary",
        "all => all.filter(e => e.offsetParent && e.getBoundingClientRect().height < 44).length",
    )
    wide = page.evaluate("document.documentElement.scrollWidth > innerWidth")
    assert (small, wide, errors) == (0, False, [])
    context.close()
