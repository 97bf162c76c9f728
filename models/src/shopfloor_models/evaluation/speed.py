"""Latency and memory of builds against onnxruntime fp32, in one run, one thread each."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from shopfloor_models.errors import DataError
from shopfloor_models.evaluation.runners import open_runner

MEMORY_TIMEOUT_S = 120


@dataclass(frozen=True, slots=True)
class Speed:
    """One build."""

    name: str
    latency_ms: float
    """Median."""
    latency_ratio: float
    """Median, over the rounds, of its time to fp32's in the same round."""
    rss_bytes: int
    """Peak of a process that loads it and runs it three times, the interpreter included."""


@dataclass(frozen=True, slots=True)
class Input:
    """What every build is fed."""

    width_px: int
    height_px: int
    scale: float = 1.0


def compare(
    builds: Mapping[str, Path],
    *,
    reference: str,
    given: Input,
    rounds: int = 20,
    runtimes: Mapping[str, str] | None = None,
) -> list[Speed]:
    """Time all builds in turn, round by round: a busy machine slows them alike.

    ``runtimes`` names the runtime of a build where it isn't the one that its suffix asks for.
    """
    chosen = runtimes or {}
    picture = np.full((given.height_px, given.width_px, 3), 114, np.uint8)
    runners = {name: open_runner(path, chosen.get(name)) for name, path in builds.items()}
    tensors = {name: runner.tensor(picture, given.scale) for name, runner in runners.items()}
    taken: dict[str, list[float]] = {name: [] for name in runners}
    for number in range(rounds + 2):
        for name, runner in runners.items():
            started_s = time.perf_counter()
            runner.run(tensors[name])
            # The first two rounds warm caches and pick kernels.
            if number >= 2:
                taken[name].append(1e3 * (time.perf_counter() - started_s))
    base = np.array(taken[reference])
    return [
        Speed(
            name,
            float(np.median(taken[name])),
            float(np.median(np.array(taken[name]) / base)),
            peak_rss_bytes(path, given, chosen.get(name)),
        )
        for name, path in builds.items()
    ]


def peak_rss_bytes(path: Path, given: Input, runtime: str | None = None) -> int:
    """Load and run a build in a process of its own.

    Raises:
        DataError: that process ended with an error.
    """
    arguments = [str(path), str(given.width_px), str(given.height_px), str(given.scale)]
    arguments += [runtime] if runtime else []
    done = subprocess.run(
        [sys.executable, "-m", "shopfloor_models.evaluation.speed", *arguments],
        capture_output=True,
        text=True,
        timeout=MEMORY_TIMEOUT_S,
        check=False,
    )
    if done.returncode:
        last = (done.stderr.strip() or "no reason given").splitlines()[-1]
        raise DataError(f"{path}: the process that measures its memory ended: {last}")
    return int(json.loads(done.stdout)["rss_bytes"])


def main(arguments: list[str]) -> int:
    """Print the peak of this process after three runs."""
    path, width, height, scale, *runtime = arguments
    runner = open_runner(Path(path), *runtime)
    tensor = runner.tensor(np.zeros((int(height), int(width), 3), np.uint8), float(scale))
    for _ in range(3):
        runner.run(tensor)
    # VmHWM and not getrusage: the latter inherits the parent's peak over fork.
    lines = Path(f"/proc/{os.getpid()}/status").read_text().splitlines()
    peak_kib = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))
    print(json.dumps({"rss_bytes": peak_kib * 1024}))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
