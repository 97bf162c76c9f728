"""Bundles as one file, read and cut without unpacking: for the registry and for devices.

The format has one way to write each bundle (see ``bundles``). So an entry is not parsed: its
header is compared with the one that it must have, and no header can ask for memory or name a path.
"""

from __future__ import annotations

import hashlib
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from shopfloor_contracts.bundles import Manifest, parse_manifest
from shopfloor_contracts.errors import ArchiveError, ZooError

MANIFEST = "manifest.json"
MAX_MANIFEST_BYTES = 1 << 20
MAX_FILE_BYTES = 1 << 30
"""A detector for a device is some megabytes; a gigabyte is a mistake or an attack."""

_CHUNK_BYTES = 1 << 20
_BLOCK = tarfile.BLOCKSIZE


@dataclass(frozen=True, slots=True)
class Entry:
    """One file behind the manifest: what is promised of it, and where its bytes begin."""

    file: str
    sha256: str
    size_bytes: int
    offset: int


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
        with _opened(self.path) as file:
            file.seek(entry.offset)
            left = entry.size_bytes
            while left:
                chunk = file.read(min(left, _CHUNK_BYTES))
                if not chunk:
                    raise ArchiveError(f"{self.path}: {entry.file!r} ends {left} bytes early")
                left -= len(chunk)
                yield chunk


def read_archive(path: Path) -> Archive:
    """Read the manifest and check every header; the content of builds is not looked at.

    Raises:
        ArchiveError: no bundle in the one form that bundles have, or its manifest is against the
            schema.
    """
    with _opened(path) as file:
        manifest, end = _read_manifest(path, file)
        entries = []
        for name, sha256, size_bytes in _promises(path, manifest):
            offset = _check_header(path, file, end, name, size_bytes)
            entries.append(Entry(name, sha256, size_bytes, offset))
            end = _check_padding(path, file, offset + size_bytes)
        _check_end(path, file, end)
    return Archive(path, manifest, tuple(entries))


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
    wanted = {name for name, _, _ in _promises(archive.path, manifest)}
    digest, written = hashlib.sha256(), 0
    with out.open("wb") as file:
        for chunk in _sliced(archive, text, wanted):
            written += len(chunk)
            digest.update(chunk)
            file.write(chunk)
        end = b"\0" * _tail_bytes(written)
        digest.update(end)
        file.write(end)
    return digest.hexdigest()


def _sliced(archive: Archive, manifest: bytes, wanted: set[str]) -> Iterator[bytes]:
    yield _header(MANIFEST, len(manifest))
    yield manifest
    yield b"\0" * (_padded(len(manifest)) - len(manifest))
    for entry in archive.entries:
        if entry.file in wanted:
            yield _header(entry.file, entry.size_bytes)
            yield from archive.chunks(entry)
            yield b"\0" * (_padded(entry.size_bytes) - entry.size_bytes)


def _opened(path: Path) -> IO[bytes]:
    try:
        return path.open("rb")
    except OSError as e:
        raise ArchiveError(f"{path}: {e.strerror or e}") from e


def _read_manifest(path: Path, file: IO[bytes]) -> tuple[Manifest, int]:
    """Return the manifest and where the entry after it begins."""
    header = file.read(_BLOCK)
    # Octal digits and a NUL, as in POSIX ustar; anything else is compared away below.
    digits = header[124:135]
    size_bytes = int(digits, 8) if len(digits) == 11 and digits.isdigit() and _octal(digits) else -1
    if size_bytes < 0 or header != _header(MANIFEST, size_bytes):
        raise ArchiveError(f"{path}: does not begin as a bundle, with {MANIFEST!r}")
    if size_bytes > MAX_MANIFEST_BYTES:
        raise ArchiveError(f"{path}: {MANIFEST} has {size_bytes} bytes, at most 1 MiB")
    content = file.read(size_bytes)
    try:
        text = content.decode()
    except UnicodeDecodeError as e:
        raise ArchiveError(f"{path}: {MANIFEST} is not UTF-8") from e
    try:
        manifest = parse_manifest(text, source=f"{path}: {MANIFEST}")
    except ZooError as e:
        raise ArchiveError(str(e)) from e
    return manifest, _check_padding(path, file, _BLOCK + size_bytes)


def _check_header(path: Path, file: IO[bytes], at: int, name: str, size_bytes: int) -> int:
    """Compare the header at ``at``; return where the content begins."""
    expected = _header(name, size_bytes)
    file.seek(at)
    if file.read(len(expected)) != expected:
        raise ArchiveError(
            f"{path}: byte {at}: no entry {name!r} of {size_bytes} bytes, "
            "mode 0644, owner 0, time 0"
        )
    return at + len(expected)


def _check_padding(path: Path, file: IO[bytes], at: int) -> int:
    """Compare what fills the last block of a content that ends at ``at``; return its end."""
    end = _padded(at)
    file.seek(at)
    if file.read(end - at) != b"\0" * (end - at):
        raise ArchiveError(f"{path}: byte {at}: expected zeros up to {end}")
    return end


def _check_end(path: Path, file: IO[bytes], at: int) -> None:
    file.seek(at)
    tail = file.read(_tail_bytes(at) + 1)
    if tail != b"\0" * _tail_bytes(at):
        raise ArchiveError(f"{path}: byte {at}: expected the end of the archive")


def _promises(path: Path, manifest: Manifest) -> list[tuple[str, str, int]]:
    """Return name, digest and size of what follows the manifest, in order."""
    found = [(one.file, one.sha256, one.size_bytes) for one in manifest.builds]
    if clip := manifest.golden:
        found.append((clip.clip, clip.sha256, clip.size_bytes))
    seen = {MANIFEST}
    for name, _, size_bytes in found:
        if name in seen:
            raise ArchiveError(f"{path}: the manifest names {name!r} twice")
        if size_bytes > MAX_FILE_BYTES:
            raise ArchiveError(f"{path}: {name!r} has {size_bytes} bytes, at most 1 GiB")
        seen.add(name)
    return found


def _header(name: str, size_bytes: int) -> bytes:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode, entry.mtime = size_bytes, 0o644, 0
    return entry.tobuf(tarfile.GNU_FORMAT)


def _octal(digits: bytes) -> bool:
    return not set(digits) & set(b"89")


def _padded(size_bytes: int) -> int:
    return -(-size_bytes // _BLOCK) * _BLOCK


def _tail_bytes(at: int) -> int:
    """Return how many zeros end an archive whose entries end at ``at``: at least two blocks."""
    end = at + 2 * _BLOCK
    return -(-end // tarfile.RECORDSIZE) * tarfile.RECORDSIZE - at
