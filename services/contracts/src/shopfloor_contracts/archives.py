"""Bundles as one file, read and cut without unpacking: for the registry and for devices.

The format has one way to write each bundle (see ``bundles`` and ``tars``).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from shopfloor_contracts.bundles import Manifest, parse_manifest
from shopfloor_contracts.errors import ArchiveError, ZooError
from shopfloor_contracts.tars import (
    MANIFEST,
    MAX_FILE_BYTES,
    MAX_MANIFEST_BYTES,
    Entry,
    check_promises,
    header,
    opened,
    padding,
    read_chunks,
    read_entries,
    read_manifest_text,
    tail,
)

__all__ = [
    "MANIFEST",
    "MAX_FILE_BYTES",
    "MAX_MANIFEST_BYTES",
    "Archive",
    "Entry",
    "read_archive",
    "slice_archive",
    "verify_archive",
]


@dataclass(frozen=True, slots=True)
class Archive:
    """A bundle archive whose headers are right; ``verify`` looks at the content too."""

    path: Path
    manifest: Manifest
    entries: tuple[Entry, ...]

    def chunks(self, entry: Entry) -> Iterator[bytes]:
        """Yield the bytes of ``entry``, at most a mebibyte at a time.

        Raises:
            ArchiveError: the file ends before.
        """
        return read_chunks(self.path, entry)


def read_archive(path: Path) -> Archive:
    """Read the manifest and check every header; the content of builds is not looked at.

    Raises:
        ArchiveError: no bundle in the one form that bundles have, or its manifest is against the
            schema.
    """
    with opened(path) as file:
        text, end = read_manifest_text(path, file)
        try:
            manifest = parse_manifest(text, source=f"{path}: {MANIFEST}")
        except ZooError as e:
            raise ArchiveError(str(e)) from e
        return Archive(path, manifest, read_entries(path, file, _promises(manifest), end))


def verify_archive(path: Path) -> Archive:
    """Compare every byte of a bundle with what its manifest promises.

    Raises:
        ArchiveError: see ``read_archive``; or a file has another digest.
    """
    archive = read_archive(path)
    for entry in archive.entries:
        digest = hashlib.sha256()
        for chunk in archive.chunks(entry):
            digest.update(chunk)
        if digest.hexdigest() != entry.sha256:
            raise ArchiveError(
                f"{path}: {entry.file!r}: sha256 is {digest.hexdigest()}, "
                f"manifest says {entry.sha256}"
            )
    return archive


def slice_archive(archive: Archive, target: str, out: Path) -> str:
    """Write a bundle with the one build for ``target`` and the golden clip; return its sha256.

    The same bundle and target always make the same bytes. The caller makes them durable.

    Raises:
        ArchiveError: no build for ``target``, or the archive is damaged.
        OSError: ``out`` cannot be written.
    """
    build = archive.manifest.build_for(target)
    if build is None:
        built = ", ".join(one.target for one in archive.manifest.builds)
        raise ArchiveError(f"{archive.path}: no build for {target!r}, only for {built}")
    manifest = archive.manifest.model_copy(update={"builds": [build]})
    text = manifest.model_dump_json(indent=2).encode() + b"\n"
    wanted = {name for name, _, _ in check_promises(archive.path, _promises(manifest))}
    digest, written = hashlib.sha256(), 0
    with out.open("wb") as file:
        for chunk in _sliced(archive, text, wanted):
            written += len(chunk)
            digest.update(chunk)
            file.write(chunk)
        end = tail(written)
        digest.update(end)
        file.write(end)
    return digest.hexdigest()


def _sliced(archive: Archive, manifest: bytes, wanted: set[str]) -> Iterator[bytes]:
    yield header(MANIFEST, len(manifest))
    yield manifest
    yield padding(len(manifest))
    for entry in archive.entries:
        if entry.file in wanted:
            yield header(entry.file, entry.size_bytes)
            yield from archive.chunks(entry)
            yield padding(entry.size_bytes)


def _promises(manifest: Manifest) -> list[tuple[str, str, int]]:
    """Return name, digest and size of what follows the manifest, in order."""
    found = [(one.file, one.sha256, one.size_bytes) for one in manifest.builds]
    if clip := manifest.golden:
        found.append((clip.clip, clip.sha256, clip.size_bytes))
    return found
