"""Files written whole or not at all, and what a full disk says."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from shopfloor_models.errors import DataError

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def write_whole(path: Path, content: bytes) -> None:
    """Write ``content`` beside ``path`` and move it there.

    Raises:
        DataError: it cannot be written; nothing is left of the attempt.
    """
    with replaced(path) as part:
        part.write_bytes(content)


@contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """Give the name to write to; the file takes its place when the block ends well.

    Raises:
        DataError: it cannot be written; nothing is left of the attempt.
    """
    part = path.with_name(f"{path.name}.part")
    try:
        yield part
        part.replace(path)
    except OSError as e:
        raise DataError(f"{path}: {disk_reason(e, path)}") from e
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def disk_reason(error: OSError, path: Path) -> str:
    """Return an error of the disk in words; a full one says how much is left."""
    reason = error.strerror or str(error)
    if error.errno not in FULL:
        return reason
    return f"{reason}, {free_bytes(path):,} bytes are free"


def free_bytes(path: Path) -> int:
    """Return what is free on the disk that holds ``path``, or its nearest folder that exists."""
    there = next((place for place in (path, *path.absolute().parents) if place.exists()), Path("/"))
    return shutil.disk_usage(there).free
