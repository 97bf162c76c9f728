"""Our own wheels: the same tree makes the same bytes, wherever and whenever it is built."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from shopfloor_provisioning.wheelhouse.errors import WheelError
from shopfloor_provisioning.wheelhouse.metadata import Wheel, read_wheel
from shopfloor_provisioning.wheelhouse.pool import digest_of

EPOCH = "1580601600"
"""2020-02-02: every file's time inside our wheels, unless SOURCE_DATE_EPOCH says another.

Not the commit's: a wheel whose content did not change keeps its digest, and is not sent again.
"""
DEVICE_DISTRIBUTIONS = ("services/contracts", "edge")


def build_own(root: Path, into: Path, distributions: Sequence[str]) -> dict[str, Wheel]:
    """Build distributions of the checkout ``root``; return their wheels by name.

    A wheel of ``into`` that has the same bytes already is left as it is.

    Raises:
        WheelError: one cannot be built.
    """
    built = {}
    into.mkdir(parents=True, exist_ok=True)
    for distribution in distributions:
        with tempfile.TemporaryDirectory(dir=into, prefix=".building-") as folder:
            path = _build(root / distribution, Path(folder))
            kept = into / path.name
            if not kept.is_file() or digest_of(kept) != digest_of(path):
                path.replace(kept)
        read_wheel.cache_clear()
        wheel = read_wheel(kept)
        built[wheel.name] = wheel
    return built


def _build(source: Path, folder: Path) -> Path:
    command = [
        *(sys.executable, "-m", "hatchling", "build", "--target", "wheel"),
        *("--directory", str(folder.resolve())),
    ]
    epoch = os.environ.get("SOURCE_DATE_EPOCH", EPOCH)
    environment = {**os.environ, "SOURCE_DATE_EPOCH": epoch}
    if not source.is_dir():
        raise WheelError(f"{source}: no folder of a distribution")
    ran = subprocess.run(
        command, cwd=source, capture_output=True, text=True, env=environment, check=False
    )
    wheels = sorted(folder.glob("*.whl"))
    if ran.returncode or len(wheels) != 1:
        lines = [line for line in ran.stderr.splitlines() if line.strip()]
        raise WheelError(f"{source}: no wheel was built: {lines[-1] if lines else 'no word'}")
    return wheels[0]
