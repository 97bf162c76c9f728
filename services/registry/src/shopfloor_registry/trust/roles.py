"""Names, periods and files of the roles; reading one from bytes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import TypeVar

from tuf.api.metadata import Metadata, Root, Snapshot, Targets, Timestamp
from tuf.api.serialization import DeserializationError

from shopfloor_registry.trust.errors import RepositoryError

ROOT, TARGETS, SNAPSHOT, TIMESTAMP = "root", "targets", "snapshot", "timestamp"
ONLINE = (SNAPSHOT, TIMESTAMP)
OFFLINE = (ROOT, TARGETS)
BIN = "bin"
BIN_BITS = 8
"""256 bins. Devices have seen the number: it is never changed. 10,000 targets are 40 a bin."""

PERIODS: Mapping[str, timedelta] = {
    ROOT: timedelta(days=730),
    TARGETS: timedelta(days=365),
    BIN: timedelta(days=365),
    SNAPSHOT: timedelta(days=7),
    TIMESTAMP: timedelta(days=1),
}
"""How long a signature is good. The timestamp's is how long a device can be kept from news."""
DUE: Mapping[str, timedelta] = {
    ROOT: timedelta(days=90),
    TARGETS: timedelta(days=60),
    BIN: timedelta(days=60),
    SNAPSHOT: timedelta(days=3),
    TIMESTAMP: timedelta(hours=16),
}
"""What is left when a role should be signed again. People need longer than a timer."""

MAX_PATH_CHARS = 400
_PART = r"[A-Za-z0-9][A-Za-z0-9._+-]*"
_PATH = re.compile(rf"{_PART}(/{_PART}){{1,5}}")


T = TypeVar("T", Root, Timestamp, Snapshot, Targets)


def role_kind(role: str) -> str:
    """Return the key of ``role`` in ``PERIODS``: bins share one."""
    return BIN if role.startswith(f"{BIN}-") else role


def file_name(role: str, version: int) -> str:
    """Return the name under which devices ask for a role (consistent snapshots)."""
    return f"{role}.json" if role == TIMESTAMP else f"{version}.{role}.json"


def check_path(path: str) -> str:
    """Return ``path`` if it is fit for a TUF target and a folder.

    Raises:
        RepositoryError: it is not; it could climb out, or be another one's spelling.
    """
    if len(path) > MAX_PATH_CHARS or not _PATH.fullmatch(path):
        raise RepositoryError(
            f"target path {path[:100]!r}: expected 2 to 6 parts of A-Z a-z 0-9 . _ + -"
        )
    return path


def read_root(content: bytes, where: str) -> Metadata[Root]:
    """Read a root document."""
    return _read(content, where, Root)


def read_timestamp(content: bytes, where: str) -> Metadata[Timestamp]:
    """Read a timestamp document."""
    return _read(content, where, Timestamp)


def read_snapshot(content: bytes, where: str) -> Metadata[Snapshot]:
    """Read a snapshot document."""
    return _read(content, where, Snapshot)


def read_targets(content: bytes, where: str) -> Metadata[Targets]:
    """Read the targets role's document or a bin's."""
    return _read(content, where, Targets)


def _read(content: bytes, where: str, kind: type[T]) -> Metadata[T]:
    try:
        metadata: Metadata[T] = Metadata.from_bytes(content)
    except DeserializationError as e:
        raise RepositoryError(f"{where}: no TUF metadata: {str(e)[:100]}") from e
    if not isinstance(metadata.signed, kind):
        raise RepositoryError(f"{where}: holds {metadata.signed.type}, expected {kind.type}")
    return metadata
