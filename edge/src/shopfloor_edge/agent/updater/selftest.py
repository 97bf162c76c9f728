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
from shopfloor_contracts.site import SiteFile

LIMIT_S = 300.0
"""A slow board loads a large model and runs some frames; longer is a hang."""
OURS = (sys.executable,)
SELFTEST = ("-m", "shopfloor_edge.main", "--log-level", "error", "selftest", "--json")
PROBE = """import sys, shopfloor_edge.agent.app, shopfloor_edge.vision.app
from shopfloor_contracts.site import SiteFile
SiteFile.model_validate_json(sys.stdin.read())
"""
"""Loads all that the processes load, and reads the site file, in the new venv."""


def self_test(bundle: Path, options: Sequence[str], python: Sequence[str] = OURS) -> SelfTest:
    """Run a bundle on its golden clip."""
    told, failure = _ask([*python, *SELFTEST, *options, str(bundle)])
    passed, frames = told.get("passed") is True, told.get("frames")
    return SelfTest(
        passed=passed and not failure,
        frames=frames if isinstance(frames, int) else 0,
        detail=(failure or str(told.get("detail", "")))[:200],
    )


def application_test(
    venv: Path, site: SiteFile, bundle: Path | None, options: Sequence[str]
) -> SelfTest:
    """Load an application's processes in its own venv, and run the active bundle there.

    Args:
        bundle: unpacked; None where the bundle of the site file runs, which has no clip.
    """
    # Isolated: neither a variable nor a folder of this process brings in other modules.
    python = [str(venv / "bin/python"), "-I"]
    text = site.model_dump_json(exclude_unset=True).encode()
    code, _, last = _run([*python, "-c", PROBE], text)
    if code != 0:
        return SelfTest(passed=False, frames=0, detail=f"cannot be loaded: {last}"[:200])
    if bundle is not None:
        return self_test(bundle, options, python)
    targets = runnable_targets(options, python)
    detail = f"runs {', '.join(targets)}" if targets else "runs no build of a model"
    return SelfTest(passed=bool(targets), frames=0, detail=detail[:200])


def runnable_targets(options: Sequence[str], python: Sequence[str] = OURS) -> list[str]:
    """Return the build targets that can run here, none where that cannot be found out."""
    told, _ = _ask([*python, *SELFTEST, *options])
    targets = told.get("targets")
    return [str(target) for target in targets] if isinstance(targets, list) else []


def _ask(command: list[str]) -> tuple[dict[str, object], str]:
    """Return what the child said as JSON, and why it is not to be believed."""
    code, said, last = _run(command)
    if code is None or code < 0:
        return {}, last
    with contextlib.suppress(ValueError, IndexError):
        told = json.loads(said.strip().splitlines()[-1])
        if isinstance(told, dict):
            return told, ""
    return {}, f"ended with {code}: {last}"


def _run(command: list[str], given: bytes = b"") -> tuple[int | None, str, str]:
    """Return the child's exit code, what it said, and its last line of complaint."""
    # Files instead of pipes: a child that dies leaves what it said, and blocks nobody.
    with (
        tempfile.TemporaryFile() as asked,
        tempfile.TemporaryFile() as out,
        tempfile.TemporaryFile() as errors,
    ):
        asked.write(given)
        asked.seek(0)
        child = subprocess.Popen(command, stdin=asked, stdout=out, stderr=errors)
        try:
            code = child.wait(LIMIT_S)
        except subprocess.TimeoutExpired:
            return None, "", f"no answer within {LIMIT_S:g} s"
        finally:
            if child.poll() is None:
                child.kill()
                child.wait()
        out.seek(0)
        errors.seek(0)
        said = out.read(65_536).decode(errors="replace")
        last = (errors.read(65_536).decode(errors="replace").strip().splitlines() or [""])[-1]
    if code < 0:
        return code, said, f"crashed: {signal.Signals(-code).name}"
    return code, said, last[:150]
