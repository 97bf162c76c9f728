"""What every test gets: the root logger as it was before it."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest


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
