"""The operator's guide, command by command, against real processes."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from shopfloor_contracts.bundles import Manifest
from shopfloor_ctl.main import build_parser
from shopfloor_models.bundle import pack

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs/registry.md").read_text()
BLOCKS = re.findall(r"^```sh(?P<kind> serve)?\n(?P<text>.*?)^```", GUIDE, re.MULTILINE | re.DOTALL)
PROGRAMS = {
    "shopfloor-registry": "shopfloor_registry.app",
    "shopfloorctl": "shopfloor_ctl.main",
}


@pytest.fixture
def place(tmp_path):
    """A folder with the two programs, a bundle and an MLflow run."""
    zoo = ROOT / "models/zoo/person-nano"
    manifest = Manifest.model_validate_json((zoo / "manifest.json").read_text())
    pack(manifest, zoo, tmp_path / "person-nano.tar")
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, module in PROGRAMS.items():
        (programs / name).write_text(f'#!/bin/sh\nexec {sys.executable} -m {module} "$@"\n')
        (programs / name).chmod(0o755)
    run = tmp_path / "mlruns/7/0f1e2d"
    for folder in ("metrics", "params"):
        (run / folder).mkdir(parents=True)
    (run / "meta.yaml").write_text("run_id: 0f1e2d\n")
    (run.parent / "meta.yaml").write_text("experiment_id: '7'\nname: people\n")
    (run / "metrics/val_ap").write_text("1 0.10 0\n2 0.33 1\n")
    (run / "params/lr").write_text("1e-5")
    return tmp_path


@pytest.fixture
def environment(place):
    kept = {key: value for key, value in os.environ.items() if not key.startswith("SHOPFLOOR_")}
    return kept | {
        "HOME": str(place),
        "PATH": f"{place / 'bin'}:{kept['PATH']}",
        "SHOPFLOOR_REGISTRY_DATABASE": f"sqlite:///{place}/registry.db",
        "SHOPFLOOR_REGISTRY_FOLDER": str(place / "artefacts"),
        "SHOPFLOOR_REGISTRY_LOG_LEVEL": "warning",
    }


@pytest.fixture
def serve(place, environment):
    processes = []

    def start(command):
        flags = ["--http-port", "0", "--address-file", str(place / "address")]
        processes.append(subprocess.Popen([*command.split(), *flags], cwd=place, env=environment))
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if (place / "address").exists():
                url = f"http://{(place / 'address').read_text().strip()}"
                assert httpx.get(f"{url}/healthz", timeout=30).status_code == 200
                return url
            assert processes[-1].poll() is None
            time.sleep(0.05)
        raise AssertionError("the registry did not start within 60 s")

    yield start
    for process in processes:
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


@pytest.mark.timeout(300)
def test_every_command_of_the_guide_works_in_its_order(place, environment, serve):
    for kind, text in BLOCKS:
        if kind:
            environment["REGISTRY"] = serve(text.strip())
            continue
        done = subprocess.run(  # noqa: PLW1510 — what it printed is told below
            ["bash", "-euo", "pipefail", "-c", text],
            cwd=place,
            env=environment,
            capture_output=True,
            text=True,
            timeout=200,
        )
        assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"

    assert (place / ".config/shopfloor/ctl.json").stat().st_mode & 0o777 == 0o600
    shown = subprocess.run(
        ["shopfloorctl", "models", "show", "person-nano", "1"],
        cwd=place,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert re.search(r"^stage +production$", shown, re.MULTILINE)
    assert "mlflow:0f1e2d" in shown


def test_every_command_is_in_the_guide():
    named = []
    (commands,) = build_parser()._subparsers._group_actions
    for name, parser in commands.choices.items():
        actions = [a for a in parser._actions if a.__class__.__name__ == "_SubParsersAction"]
        named += [f"{name} {one}" for action in actions for one in action.choices] or [name]

    flat = GUIDE.replace("campaigns create|", "campaigns create, campaigns ")
    flat = re.sub(r"\|(?=list|show|dev|verd|appr|start|pause|resume|abort)", ", campaigns ", flat)
    missing = [command for command in named if command not in flat]

    assert sorted(set(missing)) == []
