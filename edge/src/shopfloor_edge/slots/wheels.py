"""A set of wheels becomes a venv, without a network."""

from __future__ import annotations

import hashlib
import importlib.util
import logging
import os
import shutil
import subprocess
import sys
from pathlib import Path

from shopfloor_contracts.errors import ArchiveError
from shopfloor_contracts.tars import Entry
from shopfloor_contracts.wheelsets import Application, WheelSet, read_wheel_set
from shopfloor_edge.errors import BundleError
from shopfloor_edge.slots.applications import Home

log = logging.getLogger(__name__)

LIMIT_S = 1800.0
"""A slow board's card writes some hundred megabytes in minutes; longer is a hang."""
SPACE_FACTOR = 6
"""Of the archive's size: itself, the wheels once more, and what they unpack to."""
BORROWED = ("gi",)
"""Comes with the OS and has no wheel: linked from where this process would find it."""


def install_wheels(archive: Path, digest: str, home: Home) -> Application:
    """Make the venv of a set of wheels, unless it is there; return the manifest.

    Every wheel must have the digest that the manifest promises, and nothing else is installed.

    Raises:
        BundleError: no set of wheels, or not for this interpreter and machine.
        OSError: the disk refuses.
    """
    try:
        found = read_wheel_set(archive)
    except ArchiveError as e:
        raise BundleError(f"no set of wheels: {str(e).replace(str(archive), digest[:12])}") from e
    if home.is_whole(digest):
        return found.manifest
    home.forget(digest)
    venv, wheels = home.venv(digest), home.folder / "app" / f"{digest}.wheels"
    shutil.rmtree(wheels, ignore_errors=True)
    wheels.mkdir(parents=True)
    try:
        _write_wheels(found, wheels)
        _run([_interpreter(), "-I", "-m", "venv", str(venv)], "venv")
        asked = [str(venv / "bin/python"), "-I", "-m", "pip", "install", "--quiet", "--no-index"]
        asked += ["--disable-pip-version-check", "--no-cache-dir", "--no-deps", "--require-hashes"]
        _run([*asked, "-r", str(wheels / "requirements.txt")], "pip")
        _borrow(venv)
    except ArchiveError as e:
        raise BundleError(str(e)) from e
    finally:
        shutil.rmtree(wheels, ignore_errors=True)
    # Thousands of files: one sync of the disk instead of an fsync of each.
    os.sync()
    home.mark_whole(digest)
    log.info("application installed", extra={"digest": digest, "version": found.manifest.version})
    return found.manifest


def _write_wheels(found: WheelSet, folder: Path) -> None:
    lines = []
    for entry in found.entries:
        actual = _write(found, entry, folder / entry.file)
        if actual != entry.sha256:
            raise BundleError(f"{entry.file}: sha256 is {actual}, the manifest says {entry.sha256}")
        lines.append(f"{folder / entry.file} --hash=sha256:{entry.sha256}\n")
    (folder / "requirements.txt").write_text("".join(lines))


def _write(found: WheelSet, entry: Entry, path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("wb") as file:
        for chunk in found.chunks(entry):
            digest.update(chunk)
            file.write(chunk)
    return digest.hexdigest()


def _interpreter() -> str:
    """Return the interpreter outside of any venv, which the next venv is made of."""
    return str(getattr(sys, "_base_executable", "") or sys.executable)


def _run(command: list[str], what: str) -> None:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PIP_")}
    try:
        done = subprocess.run(
            command, capture_output=True, timeout=LIMIT_S, env=environment, check=False
        )
    except subprocess.TimeoutExpired as e:
        raise BundleError(f"{what}: not done within {LIMIT_S:g} s") from e
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise BundleError(f"{what} ended with {done.returncode}: {' '.join(said)[-300:]}")


def _borrow(venv: Path) -> None:
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for name in BORROWED:
        spec = importlib.util.find_spec(name)
        place = next(iter(spec.submodule_search_locations or ()), None) if spec else None
        link = venv / "lib" / version / "site-packages" / name
        if place is not None and not link.exists():
            link.symlink_to(Path(place).resolve())
