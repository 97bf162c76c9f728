"""Private files that a power cut either keeps whole or has not begun."""

from __future__ import annotations

import os
from pathlib import Path


def write_private(path: Path, content: bytes, *, mode: int = 0o600) -> None:
    """Replace a file: temporary file, fsync, rename, fsync of the folder.

    Raises:
        OSError: the disk refuses; the file before is still there.
    """
    half = path.with_name(f".{path.name}.new")
    half.unlink(missing_ok=True)
    descriptor = os.open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    half.replace(path)
    sync(path.parent)


def point(link: Path, target: str) -> None:
    """Make ``link`` name ``target``, in one step.

    Raises:
        OSError: the disk refuses; the link before is still there.
    """
    half = link.with_name(f".{link.name}.new")
    half.unlink(missing_ok=True)
    half.symlink_to(target)
    half.replace(link)
    sync(link.parent)


def sync(folder: Path) -> None:
    """Make new names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
