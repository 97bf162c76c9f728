"""Wheels for one device out of an offline wheelhouse; pip says which, on this machine.

A wheelhouse is what ``make wheelhouse`` writes: a folder ``PYTHON-ARCHITECTURE`` per platform, each
with wheels and their ``SHA256SUMS``; or such a folder itself, as on a USB stick.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from urllib.parse import unquote, urlsplit

from shopfloor_provisioning.errors import WheelhouseError

SUMS = "SHA256SUMS"
ROOT = "shopfloor-edge"
GLIBC_MINOR = 36
"""Debian 12's, the oldest of ours."""


@dataclass(frozen=True, slots=True)
class Wheel:
    """One file and its promised digest."""

    path: Path
    sha256: str


@dataclass(frozen=True, slots=True)
class WheelSet:
    """Everything that a device is installed with."""

    wheels: tuple[Wheel, ...]
    version: str
    """Of shopfloor-edge."""

    @property
    def digest(self) -> str:
        """Name of its virtual environment: the same wheels are the same folder."""
        lines = sorted(f"{wheel.sha256}  {wheel.path.name}" for wheel in self.wheels)
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()


@cache
def find_wheels(
    wheelhouse: Path, python: str, architecture: str, extras: tuple[str, ...]
) -> WheelSet:
    """Return what ``shopfloor-edge`` with ``extras`` wants on that platform.

    Args:
        python: ``3.11``.
        architecture: ``x86_64`` or ``aarch64``.

    Raises:
        WheelhouseError: the platform or a wheel is missing, or a file is not what was promised.
    """
    folder = _platform_folder(wheelhouse, f"{python}-{architecture}")
    sums = _read_sums(folder)
    names = _resolve(folder, python, architecture, extras)
    strangers = sorted(set(names) - set(sums))
    if strangers:
        raise WheelhouseError(f"{folder / SUMS}: does not name {', '.join(strangers)}")
    wheels = tuple(Wheel(folder / name, sums[name]) for name in sorted(names))
    broken = [wheel.path.name for wheel in wheels if _sha256(wheel.path) != wheel.sha256]
    if broken:
        raise WheelhouseError(
            f"{folder}: {', '.join(broken)}: not what {SUMS} promises; copy the wheelhouse again"
        )
    version = next(name.split("-")[1] for name in names if name.startswith("shopfloor_edge-"))
    return WheelSet(wheels, version)


def _platform_folder(wheelhouse: Path, name: str) -> Path:
    for folder in (wheelhouse / name, wheelhouse):
        if (folder / SUMS).is_file():
            return folder
    there = sorted(path.parent.name for path in wheelhouse.glob(f"*/{SUMS}"))
    raise WheelhouseError(
        f"{wheelhouse}: no wheels for {name} (there: {', '.join(there) or 'none'}); "
        f"'make wheelhouse' brings them"
    )


def _read_sums(folder: Path) -> dict[str, str]:
    sums = {}
    for line in (folder / SUMS).read_text(encoding="utf-8").splitlines():
        digest, _, name = line.partition("  ")
        if len(digest) != 64 or Path(name).name != name or not name:
            raise WheelhouseError(f"{folder / SUMS}: {line[:80]!r} is no digest and file name")
        sums[name] = digest
    return sums


def _resolve(folder: Path, python: str, architecture: str, extras: Sequence[str]) -> list[str]:
    wanted = f"{ROOT}[{','.join(extras)}]" if extras else ROOT
    platforms = [f"manylinux_2_{minor}_{architecture}" for minor in range(GLIBC_MINOR, 4, -1)]
    platforms += [f"manylinux2014_{architecture}", f"linux_{architecture}"]
    argv = [sys.executable, "-m", "pip", "--isolated", "install", "--quiet", "--dry-run"]
    argv += ["--ignore-installed", "--no-index", "--only-binary", ":all:", "--report", "-"]
    argv += ["--disable-pip-version-check", "--python-version", python, "--target", "unused"]
    argv += ["--find-links", str(folder), "--implementation", "cp"]
    argv += [f"--platform={platform}" for platform in platforms]
    done = subprocess.run([*argv, wanted], capture_output=True, text=True, check=False)
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if "ERROR" in line]
        raise WheelhouseError(f"{folder}: {(said or ['pip finds no set of wheels'])[-1].strip()}")
    report = json.loads(done.stdout)
    urls = [item["download_info"]["url"] for item in report["install"]]
    return [Path(unquote(urlsplit(url).path)).name for url in urls]


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as e:
        raise WheelhouseError(f"{path}: {e.strerror or e}") from e
