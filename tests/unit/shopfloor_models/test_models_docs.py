"""What can be typed is written down, and what is written down can be typed."""

from __future__ import annotations

import argparse
import re
import shlex
from pathlib import Path

import pytest

from shopfloor_models.main import build_parser

DOCUMENT = (Path(__file__).resolve().parents[3] / "docs" / "models.md").read_text()


def commands_in(parser: argparse.ArgumentParser, words: str = "") -> list[str]:
    verbs = [a for a in parser._actions if isinstance(a, argparse._SubParsersAction)]
    if not verbs:
        return [words.strip()]
    return [
        name
        for verb, below in verbs[0].choices.items()
        for name in commands_in(below, f"{words} {verb}")
    ]


@pytest.mark.parametrize("command", commands_in(build_parser()))
def test_every_command_is_documented(command: str) -> None:
    assert f"shopfloor-models {command}" in DOCUMENT


@pytest.mark.parametrize(
    "line",
    [
        *re.findall(r"^    shopfloor-models (.+)$", DOCUMENT, re.MULTILINE),
        *re.findall(r"^  shopfloor-models (.+)$", build_parser().epilog or "", re.MULTILINE),
    ],
)
def test_every_documented_line_is_understood(line: str) -> None:
    options = build_parser().parse_args(shlex.split(line))

    assert callable(options.run)
