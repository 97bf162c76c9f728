"""Files that survive a power cut whole: written beside, synced, moved, and the folder synced."""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from shopfloor_registry.trust.errors import RepositoryError

CHUNK_BYTES = 1 << 20
PUBLIC, PRIVATE = 0o644, 0o600


def write_whole(path: Path, content: bytes, *, mode: int = PUBLIC) -> None:
    """Put ``content`` at ``path``, whole or not at all, and on the disk when this returns.

    Raises:
        RepositoryError: it cannot be written; nothing is left of the attempt.
    """
    with _replaced(path, mode) as file:
        file.write(content)


def copy_whole(source: Path, path: Path) -> tuple[str, int]:
    """Copy a file as ``write_whole`` does; return sha256 and size of what was written.

    Raises:
        RepositoryError: one cannot be read, the other not be written; nothing is left.
    """
    digest, size = hashlib.sha256(), 0
    try:
        with source.open("rb") as given, _replaced(path, PUBLIC) as file:
            while chunk := given.read(CHUNK_BYTES):
                digest.update(chunk)
                size += len(chunk)
                file.write(chunk)
    except OSError as e:
        raise RepositoryError(f"{source}: {e.strerror or e}") from e
    return digest.hexdigest(), size


def sync_folder(folder: Path) -> None:
    """Make what was moved into or removed from ``folder`` last."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other processes from changing ``folder`` meanwhile; waits for them."""
    try:
        handle = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE)
    except OSError as e:
        raise RepositoryError(f"{folder}: {e.strerror or e}") from e
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


@contextmanager
def _replaced(path: Path, mode: int) -> Iterator[IO[bytes]]:
    part = path.with_name(f"{path.name}.part")
    try:
        _make_folder(path.parent)
        part.unlink(missing_ok=True)
        handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
        sync_folder(path.parent)
    except OSError as e:
        raise RepositoryError(f"{path}: {e.strerror or e}") from e
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def _make_folder(folder: Path) -> None:
    """Make a folder and those above it; each is synced into the one that holds it."""
    missing = [place for place in (folder, *folder.parents) if not place.exists()]
    for place in reversed(missing):
        place.mkdir(exist_ok=True)
        sync_folder(place.parent)
