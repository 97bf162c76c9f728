"""The wheelhouse on disk: one pool of files, a folder of hard links per platform.

``pool/index.json`` records which file is which package's on which platform, with its digest, so
that a second run asks nobody. A platform's folder is whole when it has ``SHA256SUMS``.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from shopfloor_provisioning.wheelhouse.closure import Pin
from shopfloor_provisioning.wheelhouse.errors import WheelError
from shopfloor_provisioning.wheelhouse.metadata import Wheel
from shopfloor_provisioning.wheelhouse.platforms import Platform

SUMS = "SHA256SUMS"
SBOM = "sbom.cdx.json"


class Pool:
    """One folder of wheels."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.folder = root / "pool"
        self.folder.mkdir(parents=True, exist_ok=True)
        self._index = _read_index(self.folder / "index.json")

    def recorded(self, pin: Pin, platform: Platform) -> Path | None:
        """Return the file that was brought for ``pin``, if it is still what it was.

        Raises:
            WheelError: its content has changed since.
        """
        entry = self._index.get(platform.name, {}).get(str(pin))
        if entry is None:
            return None
        path = self.folder / entry["file"]
        if not path.is_file():
            return None
        if (actual := digest_of(path)) != entry["sha256"]:
            raise WheelError(
                f"{path}: sha256 is {actual}, recorded was {entry['sha256']}; "
                "delete it to bring it again"
            )
        return path

    def take(self, path: Path, pin: Pin, platform: Platform) -> Path:
        """Move a wheel into the pool and record it; return where it is.

        Raises:
            WheelError: the pool has a file of that name with other content.
        """
        kept, digest = self.folder / path.name, digest_of(path)
        if kept.is_file() and digest_of(kept) != digest:
            raise WheelError(f"{path.name}: the index gives sha256 {digest}, the pool has another")
        path.replace(kept)
        self._index.setdefault(platform.name, {})[str(pin)] = {"file": kept.name, "sha256": digest}
        write_text(self.folder / "index.json", json.dumps(self._index, indent=1, sort_keys=True))
        return kept

    def fill(self, platform: Platform, wheels: Iterable[Wheel], sbom: str) -> bool:
        """Make the platform's folder hold exactly these wheels; return whether it changed."""
        folder = self._root / platform.name
        folder.mkdir(exist_ok=True)
        wanted = {wheel.path.name: wheel.path for wheel in wheels}
        sums = "".join(f"{digest_of(path)}  {name}\n" for name, path in sorted(wanted.items()))
        sums += f"{hashlib.sha256(sbom.encode()).hexdigest()}  {SBOM}\n"
        present = {path.name for path in folder.iterdir()}
        if _text_of(folder / SUMS) == sums and present == {*wanted, SUMS, SBOM}:
            return False
        (folder / SUMS).unlink(missing_ok=True)
        for name in present - wanted.keys() - {SUMS, SBOM}:
            (folder / name).unlink()
        for name, path in wanted.items():
            _link(path, folder / name)
        write_text(folder / SBOM, sbom)
        write_text(folder / SUMS, sums)
        return True

    def sweep(self) -> None:
        """Remove files of the pool that no platform's folder uses, and their records."""
        used = {path.name for path in self._root.glob("*-*/*.whl")}
        for path in self.folder.glob("*.whl"):
            if path.name not in used:
                path.unlink()
        for entries in self._index.values():
            for pin in [pin for pin, entry in entries.items() if entry["file"] not in used]:
                del entries[pin]
        write_text(self.folder / "index.json", json.dumps(self._index, indent=1, sort_keys=True))


def digest_of(path: Path) -> str:
    """Return a file's SHA-256 in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_text(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    beside = path.with_name(path.name + ".new")
    beside.write_text(text, encoding="utf-8")
    beside.replace(path)


def _link(source: Path, target: Path) -> None:
    beside = target.with_name(target.name + ".new")
    beside.unlink(missing_ok=True)
    try:
        os.link(source, beside)
    except OSError:  # FAT, exFAT and some shares have no hard links
        shutil.copyfile(source, beside)
    beside.replace(target)


def _read_index(path: Path) -> dict[str, dict[str, dict[str, str]]]:
    text = _text_of(path)
    if text is None:
        return {}
    try:
        index = json.loads(text)
    except ValueError as e:
        raise WheelError(f"{path}: not JSON; delete it to bring everything again") from e
    return dict(index)


def _text_of(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
