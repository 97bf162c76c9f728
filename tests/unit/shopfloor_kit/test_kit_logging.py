from __future__ import annotations

import io
import json
import logging

import pytest

from shopfloor_kit.logging_setup import configure_logging


@pytest.fixture
def restored_root():
    root = logging.getLogger()
    before = root.handlers[:], root.level
    yield
    root.handlers[:], level = before
    root.setLevel(level)


@pytest.mark.usefixtures("restored_root")
def test_a_record_is_one_json_line_with_its_fields():
    stream = io.StringIO()
    configure_logging("info", stream=stream)

    logging.getLogger("a.b").warning("it broke", extra={"site": "oslo", "at": "ignored"})
    logging.getLogger("a.b").debug("too fine")

    (line,) = stream.getvalue().splitlines()
    said = json.loads(line)
    assert said["message"] == "it broke"
    assert said["level"] == "warning"
    assert said["site"] == "oslo"
    assert said["at"].endswith("Z")


@pytest.mark.usefixtures("restored_root")
def test_a_traceback_stays_in_its_line():
    stream = io.StringIO()
    configure_logging(stream=stream)

    try:
        _ = 1 / 0
    except ZeroDivisionError:
        logging.getLogger("a").exception("crashed")

    (line,) = stream.getvalue().splitlines()
    assert "ZeroDivisionError" in json.loads(line)["traceback"]
