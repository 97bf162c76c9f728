"""The one way in which our archives are written as tar: for bundles and sets of wheels.

An entry is not parsed: its header is compared with the one that it must have, so that no header
can ask for memory or name a path.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from shopfloor_contracts.errors import ArchiveError

MANIFEST = "manifest.json"
MAX_MANIFEST_BYTES = 1 << 20
MAX_FILE_BYTES = 1 << 30
"""A detector for a device is some megabytes; a gigabyte is a mistake or an attack."""
CHUNK_BYTES = 1 << 20
BLOCK = tarfile.BLOCKSIZE


@dataclass(frozen=True, slots=True)
class Entry:
    """One file behind the manifest: what is promised of it, and where its bytes begin."""

    file: str
    sha256: str
    size_bytes: int
    offset: int


def opened(path: Path) -> IO[bytes]:
    """Open a file for reading.

    Raises:
        ArchiveError: it cannot be opened.
    """
    try:
        return path.open("rb")
    except OSError as e:
        raise ArchiveError(f"{path}: {e.strerror or e}") from e


def read_chunks(path: Path, entry: Entry) -> Iterator[bytes]:
    """Yield the bytes of ``entry``, at most a mebibyte at a time.

    Raises:
        ArchiveError: the file ends before.
    """
    with opened(path) as file:
        file.seek(entry.offset)
        left = entry.size_bytes
        while left:
            chunk = file.read(min(left, CHUNK_BYTES))
            if not chunk:
                raise ArchiveError(f"{path}: {entry.file!r} ends {left} bytes early")
            left -= len(chunk)
            yield chunk


def read_manifest_text(path: Path, file: IO[bytes]) -> tuple[str, int]:
    """Return the first entry's text and where its content ends.

    Raises:
        ArchiveError: the first entry is no manifest, or too large, or not UTF-8.
    """
    head = file.read(BLOCK)
    # Octal digits and a NUL, as in POSIX ustar; anything else is compared away below.
    digits = head[124:135]
    size_bytes = int(digits, 8) if len(digits) == 11 and digits.isdigit() and _octal(digits) else -1
    if size_bytes < 0 or head != header(MANIFEST, size_bytes):
        raise ArchiveError(f"{path}: does not begin as a bundle, with {MANIFEST!r}")
    if size_bytes > MAX_MANIFEST_BYTES:
        raise ArchiveError(f"{path}: {MANIFEST} has {size_bytes} bytes, at most 1 MiB")
    content = file.read(size_bytes)
    try:
        text = content.decode()
    except UnicodeDecodeError as e:
        raise ArchiveError(f"{path}: {MANIFEST} is not UTF-8") from e
    return text, BLOCK + size_bytes


def read_entries(
    path: Path, file: IO[bytes], promises: list[tuple[str, str, int]], at: int
) -> tuple[Entry, ...]:
    """Check that exactly the promised files follow; their content is not looked at.

    Args:
        promises: name, sha256 and size of each, in order.
        at: where the manifest's content ends.

    Raises:
        ArchiveError: something else follows.
    """
    entries = []
    check_promises(path, promises)
    at = _check_padding(path, file, at)
    for name, sha256, size_bytes in promises:
        offset = _check_header(path, file, at, name, size_bytes)
        entries.append(Entry(name, sha256, size_bytes, offset))
        at = _check_padding(path, file, offset + size_bytes)
    _check_end(path, file, at)
    return tuple(entries)


def check_promises(path: Path, promises: list[tuple[str, str, int]]) -> list[tuple[str, str, int]]:
    """Return the promises.

    Raises:
        ArchiveError: two files have one name, or one is too large.
    """
    seen = {MANIFEST}
    for name, _, size_bytes in promises:
        if name in seen:
            raise ArchiveError(f"{path}: the manifest names {name!r} twice")
        if size_bytes > MAX_FILE_BYTES:
            raise ArchiveError(f"{path}: {name!r} has {size_bytes} bytes, at most 1 GiB")
        seen.add(name)
    return promises


def header(name: str, size_bytes: int) -> bytes:
    """Return the only header that an entry may have."""
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode, entry.mtime = size_bytes, 0o644, 0
    return entry.tobuf(tarfile.GNU_FORMAT)


def padding(size_bytes: int) -> bytes:
    """Return the zeros that fill the last block of a content."""
    return b"\0" * (_padded(size_bytes) - size_bytes)


def tail(at: int) -> bytes:
    """Return the zeros that end an archive whose entries end at ``at``: at least two blocks."""
    end = at + 2 * BLOCK
    return b"\0" * (-(-end // tarfile.RECORDSIZE) * tarfile.RECORDSIZE - at)


def _check_header(path: Path, file: IO[bytes], at: int, name: str, size_bytes: int) -> int:
    """Compare the header at ``at``; return where the content begins."""
    expected = header(name, size_bytes)
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
    expected = tail(at)
    if file.read(len(expected) + 1) != expected:
        raise ArchiveError(f"{path}: byte {at}: expected the end of the archive")


def _octal(digits: bytes) -> bool:
    return not set(digits) & set(b"89")


def _padded(size_bytes: int) -> int:
    return -(-size_bytes // BLOCK) * BLOCK
