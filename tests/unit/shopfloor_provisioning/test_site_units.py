"""Units of systemd: they can be read, are hardened, and call what the keeper calls."""

import shutil
import subprocess
from pathlib import Path, PurePosixPath

import pytest

from shopfloor_edge.main import build_parser
from shopfloor_provisioning.layout import Layout
from shopfloor_provisioning.processes import COMMANDS, argv, unit

UNITS = Path(__file__).resolve().parents[3] / "edge" / "systemd"
EXPOSURE_MAX = 2.0
"""Of 10, as systemd-analyze counts: what Debian ships of its own has 5 to 9.6."""

analyze = shutil.which("systemd-analyze")
wants_analyze = pytest.mark.skipif(analyze is None, reason="systemd-analyze is not installed")
every = pytest.mark.parametrize("process", sorted(COMMANDS))


def setting(process, key):
    lines = (UNITS / unit(process)).read_text().splitlines()
    return [line.split("=", 1)[1] for line in lines if line.startswith(f"{key}=")]


@every
def test_a_unit_calls_what_the_keeper_calls(process):
    assert setting(process, "ExecStart") == [" ".join(argv(process, Layout(PurePosixPath("/"))))]


@every
def test_what_a_unit_calls_is_a_command(process):
    (subcommands,) = build_parser()._subparsers._group_actions

    assert COMMANDS[process] in subcommands.choices


@every
def test_a_unit_runs_without_rights_of_root(process):
    assert setting(process, "User") == ["shopfloor"]
    assert setting(process, "CapabilityBoundingSet") == [""]
    assert setting(process, "NoNewPrivileges") == ["yes"]


def test_a_process_that_hangs_is_started_anew():
    assert setting("vision", "WatchdogSec") == ["900"]
    assert setting("agent", "WatchdogSec") == ["120"]
    assert setting("notify", "WatchdogSec") == ["300"]
    assert setting("station", "WatchdogSec") == ["120"]


@wants_analyze
def test_systemd_reads_every_unit_without_a_complaint():
    files = [str(UNITS / unit(process)) for process in COMMANDS]
    done = subprocess.run(
        [analyze, "verify", "--man=no", *files], capture_output=True, text=True, check=False
    )

    # The program is not installed where this runs; anything else is a fault.
    complaints = [line for line in done.stderr.splitlines() if "is not executable" not in line]
    assert [line for line in complaints if "shopfloor" in line] == []


@wants_analyze
@every
def test_a_unit_is_hardly_exposed(process):
    done = subprocess.run(
        [analyze, "security", "--offline=yes", "--threshold=20", str(UNITS / unit(process))],
        capture_output=True,
        text=True,
        check=False,
    )

    last = done.stdout.strip().splitlines()[-1]
    exposure = float(last.split(": ")[-1].split()[0])
    assert exposure <= EXPOSURE_MAX
