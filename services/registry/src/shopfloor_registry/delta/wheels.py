"""A delta between two sets of wheels: the wheels that stayed are copied, the others are sent.

Wheels are compressed, so nothing smaller than a whole wheel is alike; and a set is too large for
the searching encoders' memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from shopfloor_contracts.deltas import Kind, Step
from shopfloor_contracts.errors import ArchiveError
from shopfloor_contracts.wheelsets import WheelSet, read_wheel_set


def by_wheels(base: Path, result: Path) -> list[Step] | None:
    """Return steps from one set to another, None where one of both is no set of wheels."""
    try:
        old, new = read_wheel_set(base), read_wheel_set(result)
    except ArchiveError:
        return None
    return list(_steps(old, new, result.stat().st_size))


def _steps(old: WheelSet, new: WheelSet, size_bytes: int) -> Iterator[Step]:
    kept = {entry.sha256: entry.offset for entry in old.entries}
    at = 0
    for entry in new.entries:
        begin = kept.get(entry.sha256)
        if begin is None:
            continue
        yield Step(Kind.EXTRA, entry.offset - at)
        yield Step(Kind.COPY, entry.size_bytes, begin)
        at = entry.offset + entry.size_bytes
    yield Step(Kind.EXTRA, size_bytes - at)
