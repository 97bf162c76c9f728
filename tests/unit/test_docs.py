"""What people can type or set is written down, and what is written down exists."""

import re
from pathlib import Path

import pytest

from shopfloor_edge.main import build_parser

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
TEXT = "\n".join(path.read_text() for path in DOCUMENTS)
SOURCES = [
    path
    for folder in ("services", "edge", "models", "cloud")
    for path in (ROOT / folder).rglob("src/**/*.py")
]


def make_targets():
    return set(re.findall(r"^([a-z0-9-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))


def edge_commands():
    (commands,) = build_parser()._subparsers._group_actions
    return set(commands.choices)


@pytest.mark.parametrize("target", sorted(make_targets()))
def test_every_make_target_is_documented(target):
    assert f"make {target}" in TEXT


def test_every_documented_make_target_exists():
    named = set(re.findall(r"`make ([a-z0-9-]+)", TEXT))

    assert named - make_targets() == set()


@pytest.mark.parametrize("command", sorted(edge_commands()))
def test_every_command_of_a_device_is_documented(command):
    assert f"shopfloor-edge {command}" in TEXT


def test_every_setting_of_the_environment_is_documented():
    used = {
        name
        for path in SOURCES
        for name in re.findall(r'"(SHOPFLOOR_[A-Z]+|DEMO_SECONDS|CAMERA)"', path.read_text())
    }

    assert {name for name in used if name not in TEXT} == set()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_between_documents_lead_somewhere(document):
    for link in re.findall(r"\]\((?!https?:)([^)#]+)", document.read_text()):
        assert (document.parent / link).exists(), f"{document.name}: {link}"
