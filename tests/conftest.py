"""What every test gets: the root logger as it was before it; a browser. The account of attacks.

A test that is marked ``attack("what is tried")`` passes when the attack is refused and, where the
specification says so, logged. ``--attacks FILE`` writes how many were tried and refused.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = Path("/usr/bin/chromium")


@pytest.fixture(autouse=True)
def _root_logger_as_before() -> Iterator[None]:
    """Take out the handlers that a command under test has put into this process.

    They write to the stream that stood for stderr in that test, which is closed after it.
    """
    root = logging.getLogger()
    level, before = root.level, tuple(root.handlers)
    yield
    for handler in tuple(root.handlers):
        if type(handler) is logging.StreamHandler and handler not in before:
            root.removeHandler(handler)
    root.setLevel(level)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Start Debian's Chromium, as playwright drives it.

    Of the module, not of the session: playwright keeps an event loop running in this thread.
    """
    sync_api = pytest.importorskip("playwright.sync_api", reason="wants playwright")
    if not CHROMIUM.exists():
        pytest.skip("wants Debian's chromium")
    with sync_api.sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-gpu"]
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=arguments)
        yield browser
        browser.close()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--attacks", metavar="FILE", help="write the account of attacks there")


def pytest_configure(config: pytest.Config) -> None:
    file = config.getoption("--attacks")
    if file and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Account(Path(file)))


def pytest_itemcollected(item: pytest.Item) -> None:
    for mark in item.iter_markers("attack"):
        item.user_properties.append(("attack", mark.args[0]))


class Account:
    """Adds up what became of every attack; a skipped one was not attempted."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._refused: dict[str, bool] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        for name, what in report.user_properties:
            if name == "attack" and (report.when == "call" or report.failed):
                key = f"{what} ({report.nodeid.rpartition('::')[2]})"
                self._refused[key] = report.passed and self._refused.get(key, True)

    def pytest_sessionfinish(self) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        told = {
            "attempted": len(self._refused),
            "refused": sum(self._refused.values()),
            "attacks": dict(sorted(self._refused.items())),
        }
        self._file.write_text(json.dumps(told, indent=2) + "\n")
