"""A model bundle's archive on the device: checked against its manifest, then unpacked.

The archive's own digest was signed; that it keeps the contract's format is checked as well, so
that a wrong file ends an update and not vision.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from shopfloor_contracts.archives import MANIFEST, Archive, Entry, read_archive
from shopfloor_contracts.bundles import Manifest, parse_manifest
from shopfloor_contracts.errors import ArchiveError, ZooError
from shopfloor_edge.errors import BundleError


def unpack(archive: Path, folder: Path) -> Manifest:
    """Write the bundle's files into ``folder``, each fsynced; return the manifest.

    Raises:
        BundleError: no bundle, or a file is not what the manifest says.
        OSError: the disk refuses.
    """
    try:
        found = read_archive(archive)
        _write(folder / MANIFEST, [found.manifest.model_dump_json(indent=2).encode()])
        for entry in found.entries:
            if _copy(found, entry, folder / entry.file) != entry.sha256:
                raise BundleError(f"{archive.name}: {entry.file} is not what the manifest says")
    except ArchiveError as e:
        raise BundleError(f"no bundle: {e}") from e
    return found.manifest


def read_unpacked(folder: Path) -> Manifest:
    """Return the manifest of an unpacked bundle.

    Raises:
        BundleError: there is none that is understood.
    """
    path = folder / MANIFEST
    try:
        return parse_manifest(path.read_text(), source=str(path))
    except (OSError, UnicodeDecodeError, ZooError) as e:
        raise BundleError(f"{path}: {e}") from e


def _copy(archive: Archive, entry: Entry, path: Path) -> str:
    digest = hashlib.sha256()

    def chunks() -> Iterator[bytes]:
        for chunk in archive.chunks(entry):
            digest.update(chunk)
            yield chunk

    _write(path, chunks())
    return digest.hexdigest()


def _write(path: Path, chunks: Iterable[bytes]) -> None:
    with path.open("wb") as file:
        file.writelines(chunks)
        file.flush()
        os.fsync(file.fileno())
