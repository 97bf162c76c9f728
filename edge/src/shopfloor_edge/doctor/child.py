"""Runs a probe in a process of its own: a native library that crashes or hangs is reported."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from dataclasses import dataclass

PROBE = "shopfloor_edge.doctor.probe"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a probe printed as JSON, or why there is nothing."""

    values: dict[str, object]
    failure: str = ""


def ask(*arguments: str, limit_s: float) -> Answer:
    """Run the probe with ``arguments``, at most ``limit_s`` seconds."""
    return ask_module(PROBE, *arguments, limit_s=limit_s)


def ask_module(module: str, *arguments: str, limit_s: float) -> Answer:
    """Run a module that prints a JSON object as its last line, at most ``limit_s`` seconds."""
    command = [sys.executable, "-m", module, *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=limit_s, check=False)
    except subprocess.TimeoutExpired:
        return Answer({}, f"no answer within {limit_s:g} s")
    if done.returncode < 0:
        return Answer({}, f"crashed: {_signal(-done.returncode)}")
    try:
        values = json.loads(done.stdout.strip().splitlines()[-1])
    except (ValueError, IndexError):
        last = (done.stderr.strip() or "nothing was said").splitlines()[-1]
        return Answer({}, f"ended with {done.returncode}: {last}")
    return Answer(values if isinstance(values, dict) else {})


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
