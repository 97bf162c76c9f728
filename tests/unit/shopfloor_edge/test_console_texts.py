"""What the pages say: the same in each language, and nothing that no page has."""

import hashlib
import re
import tomllib
from pathlib import Path

import pytest

import shopfloor_edge.console
from shopfloor_contracts.rules import Metric
from shopfloor_edge.cameras import health
from shopfloor_edge.console import texts
from shopfloor_edge.console.navigation import PLACES

CONSOLE = Path(shopfloor_edge.console.__file__).parent
TEMPLATES = sorted((CONSOLE / "templates").glob("*"))
FIELDS = re.compile(r"{(\w+)}")


def fields(message):
    parts = [message] if isinstance(message, str) else list(message.values())
    return {name for part in parts for name in FIELDS.findall(part)}


def test_each_language_has_the_same_texts():
    assert set(texts.messages("de")) == set(texts.messages("en"))


def test_a_text_wants_the_same_values_in_each_language():
    english, german = texts.messages("en"), texts.messages("de")

    assert {key for key in english if fields(english[key]) != fields(german[key])} == set()


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_every_text_that_a_template_names_exists(template):
    named = re.findall(r"""\bt\(["']([\w.-]+)["']\s*[,)]""", template.read_text())

    assert [key for key in named if not texts.has(key)] == []


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_no_template_has_inline_script_or_style(template):
    # The policy refuses both: what is written so does nothing in a browser.
    text = template.read_text()

    assert re.findall(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=|javascript:", text) == []


@pytest.mark.parametrize("metric", list(Metric))
def test_every_metric_of_a_rule_has_words_and_advice(metric):
    assert texts.has(f"alert.{metric}")
    assert texts.has(f"alert.{metric}_todo")


def test_what_is_wrong_with_a_picture_is_said_in_each_language():
    assert [reason for reason in health._REASONS.values() if not texts.has(f"note.{reason}")] == []


def test_every_page_of_the_navigation_has_a_title():
    assert all(texts.has(f"{place.name}.title") for place in PLACES)


def test_a_text_is_chosen_by_its_count():
    assert texts.say("en", "now.open", count=1) == "1 alert needs somebody"
    assert texts.say("de", "now.open", count=2) == "2 Alarme brauchen jemanden"


def test_files_of_others_are_as_they_came():
    folder = CONSOLE / "static"
    told = tomllib.loads((folder / "VENDORED.toml").read_text())

    digests = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in told}

    assert digests == {name: entry["sha256"] for name, entry in told.items()}
    assert {path.name for path in folder.glob("*.min.js")} <= set(told)
