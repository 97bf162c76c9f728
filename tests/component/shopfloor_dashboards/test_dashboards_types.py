"""Every dashboard type-checks against Grafana's own types."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
NPM = ROOT / "var/npm"
COMPILER = NPM / "node_modules/typescript/bin/tsc"
SCHEMA = NPM / "node_modules/@grafana/schema"
pytestmark = pytest.mark.skipif(
    not (COMPILER.exists() and SCHEMA.exists() and shutil.which("node")),
    reason="wants node, typescript and @grafana/schema in var/npm: make check-dashboards",
)

# JSON has no enums: where Grafana's types say one, its text or number will do.
HEAD = """\
import type { Dashboard } from "@grafana/schema";
type Json<T> = T extends string ? `${T}` : T extends number ? number
  : T extends (infer U)[] ? Json<U>[] : T extends object ? { [K in keyof T]: Json<T[K]> } : T;
export const board: Json<Dashboard> = """


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "node_modules").symlink_to(NPM / "node_modules")
    return tmp_path


def compiled(folder: Path, texts: dict[str, str]):
    files = []
    for name, text in texts.items():
        files.append(f"{name}.ts")
        (folder / files[-1]).write_text(f"{HEAD}{text.rstrip()};\n")
    flags = ["--noEmit", "--strict", "--skipLibCheck", "--moduleResolution", "bundler"]
    flags += ["--module", "esnext", "--target", "es2022"]
    command = ["node", str(COMPILER), *flags, *files]
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )


def test_every_dashboard_is_of_grafanas_type(folder):
    files = (ROOT / "dashboards/json").glob("*.json")

    ended = compiled(folder, {file.stem: file.read_text() for file in files})

    assert ended.returncode == 0, ended.stdout


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ('"mode": "absolute"', '"mode": "absolut"'),
        ('"graphTooltip"', '"graphTooltips"'),
        ('"timezone": "utc"', '"timezone": 0'),
    ],
)
def test_a_planted_mistake_is_no_longer_of_that_type(folder, right, wrong):
    text = (ROOT / "dashboards/json/shopfloor-fleet.json").read_text()
    assert right in text

    ended = compiled(folder, {"board": text.replace(right, wrong)})

    assert ended.returncode != 0
