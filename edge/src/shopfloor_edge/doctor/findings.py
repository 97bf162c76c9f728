"""What a check says. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How bad it is."""

    OK = "ok"
    ABSENT = "absent"
    """Not here, and not needed."""
    WARN = "warn"
    """Works, less well than it could."""
    BAD = "bad"
    """Figures would be missing or wrong."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    area: str
    name: str
    level: Level
    found: str
    remedy: str = ""
    """What a person can do about it; empty where there is nothing to do."""


def is_healthy(findings: Sequence[Finding]) -> bool:
    """Return whether nothing is bad; warnings are allowed."""
    return all(finding.level is not Level.BAD for finding in findings)
