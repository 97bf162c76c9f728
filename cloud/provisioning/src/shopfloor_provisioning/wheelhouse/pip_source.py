"""Wheels from a package index, through pip."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from packaging.utils import canonicalize_name, parse_wheel_filename

from shopfloor_provisioning.wheelhouse.closure import Pin
from shopfloor_provisioning.wheelhouse.errors import IndexUnreachableError
from shopfloor_provisioning.wheelhouse.platforms import Platform
from shopfloor_provisioning.wheelhouse.pool import Pool

NO_WHEEL = "No matching distribution found"
NO_INDEX = ("Retrying (", "Could not fetch URL", "Connection", "Temporary failure", "SSLError")
PATIENCE_S = 1800.0


class PipSource:
    """Asks the pool's record first: what was brought once is not asked for again.

    Args:
        options: more options of ``pip download``, as ``--no-index --find-links DIR``.
        say: is told what is brought.
    """

    def __init__(
        self, pool: Pool, *, options: Sequence[str] = (), say: Callable[[str], None]
    ) -> None:
        self._pool, self._options, self._say = pool, list(options), say
        self.downloaded = 0

    def bring(self, pins: Sequence[Pin], platform: Platform) -> Mapping[Pin, Path]:
        """Return the file of each pin that has a wheel for the platform.

        Raises:
            IndexUnreachableError: the index does not answer.
            WheelError: a file of the pool is not what was recorded.
        """
        known = {pin: path for pin in pins if (path := self._pool.recorded(pin, platform))}
        unknown = [pin for pin in pins if pin not in known]
        if unknown:
            self._say(f"{platform.name}: {len(unknown)} packages are asked for")
            known |= self._download(unknown, platform)
        return known

    def _download(self, pins: Sequence[Pin], platform: Platform) -> dict[Pin, Path]:
        """Bring all at once; when pip refuses, one by one, to learn which has no wheel."""
        with tempfile.TemporaryDirectory(dir=self._pool.folder, prefix=".incoming-") as folder:
            refusal = self._pip(pins, platform, Path(folder))
            if refusal and len(pins) > 1:
                return {
                    pin: path
                    for one in pins
                    for pin, path in self._download([one], platform).items()
                }
            if refusal:
                return {}
            brought = {}
            for path in sorted(Path(folder).glob("*.whl")):
                name, version, _, _ = parse_wheel_filename(path.name)
                pin = Pin(canonicalize_name(name), str(version))
                asked = next((p for p in pins if p.name == pin.name), pin)
                brought[asked] = self._pool.take(path, asked, platform)
                self.downloaded += 1
            return brought

    def _pip(self, pins: Sequence[Pin], platform: Platform, folder: Path) -> bool:
        """Run pip; return whether a package has no wheel."""
        command = [
            *(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"),
            *(
                "--no-input",
                "--retries=2",
                "--no-deps",
                "--only-binary=:all:",
                "--dest",
                str(folder),
            ),
            *("--implementation", "cp", "--python-version", platform.python),
            *[part for name in platform.pip_platforms for part in ("--platform", name)],
            *self._options,
            *[str(pin) for pin in pins],
        ]
        ran = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            env=_environment(),
            check=False,
        )
        if ran.returncode == 0:
            return False
        if NO_WHEEL in ran.stderr and not any(sign in ran.stderr for sign in NO_INDEX):
            return True
        telling = [line for line in ran.stderr.splitlines() if any(s in line for s in NO_INDEX)]
        lines = telling or ran.stderr.strip().splitlines() or ["no word"]
        raise IndexUnreachableError(f"pip for {platform.name}: {lines[-1]}")


def _environment() -> dict[str, str]:
    """Return this process's, without what would pin or point pip elsewhere behind our back."""
    kept = {"PIP_CONSTRAINT", "PIP_NO_BINARY", "PIP_REQUIRE_VIRTUALENV", "PIP_TARGET"}
    return {name: value for name, value in os.environ.items() if name not in kept}
