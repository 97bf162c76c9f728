"""The self-test and the machine's abilities, asked of a child process: no pixels in this one."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from shopfloor_contracts.evidence import SelfTest

LIMIT_S = 300.0
"""A slow board loads a large model and runs some frames; longer is a hang."""
COMMAND = (sys.executable, "-m", "shopfloor_edge.main", "--log-level", "error", "selftest")


def self_test(bundle: Path, options: Sequence[str]) -> SelfTest:
    """Run a bundle on its golden clip."""
    told, failure = _ask([*options, str(bundle)])
    passed, frames = told.get("passed") is True, told.get("frames")
    return SelfTest(
        passed=passed and not failure,
        frames=frames if isinstance(frames, int) else 0,
        detail=(failure or str(told.get("detail", "")))[:200],
    )


def runnable_targets(options: Sequence[str]) -> list[str]:
    """Return the build targets that can run here, none where that cannot be found out."""
    told, _ = _ask(list(options))
    targets = told.get("targets")
    return [str(target) for target in targets] if isinstance(targets, list) else []


def _ask(arguments: list[str]) -> tuple[dict[str, object], str]:
    """Return what the child said as JSON, and why it is not to be believed."""
    # Files instead of pipes: a child that dies leaves what it said, and blocks nobody.
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as errors:
        child = subprocess.Popen([*COMMAND, "--json", *arguments], stdout=out, stderr=errors)
        try:
            code = child.wait(LIMIT_S)
        except subprocess.TimeoutExpired:
            return {}, f"no answer within {LIMIT_S:g} s"
        finally:
            if child.poll() is None:
                child.kill()
                child.wait()
        out.seek(0)
        errors.seek(0)
        said = out.read(65_536).decode(errors="replace")
        last = (errors.read(65_536).decode(errors="replace").strip().splitlines() or [""])[-1]
    if code < 0:
        return {}, f"crashed: {signal.Signals(-code).name}"
    with contextlib.suppress(ValueError, IndexError):
        told = json.loads(said.strip().splitlines()[-1])
        if isinstance(told, dict):
            return told, ""
    return {}, f"ended with {code}: {last[:150]}"
