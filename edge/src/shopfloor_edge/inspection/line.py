"""What a station says to its line, and the port of whoever carries it there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from shopfloor_edge.inspection.ports import Verdict

LOST = "lost"
"""State of a line whose inspector does not answer."""


@dataclass(frozen=True, slots=True)
class LineSignal:
    """What the line may do now."""

    state: str
    """``running``, ``alerted``, ``stopped``, ``held`` (not released yet) or ``LOST``."""
    run: bool
    warning: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Ruling:
    """What becomes of one part. The gate rejects whatever is not said to have passed in time."""

    part: int
    """The station's own number."""
    verdict: Verdict
    reason: str = ""
    """Doubt, or ``late`` or ``no-picture`` for a part that was missed."""
    number: int | None = None
    """The line's number, where the trigger had one."""
    run: str = ""


class LineOutput(Protocol):
    """Carries words to the line. Raises ``OutputError`` only when it is opened."""

    def show(self, signal: LineSignal) -> None:
        """Set what the line may do, until it is set again."""

    def rule(self, ruling: Ruling) -> None:
        """Say what becomes of a part."""

    def beat(self, count: int) -> None:
        """Say that the inspector lives; ``count`` goes up."""

    def close(self) -> None:
        """Let go; what was shown last stays where the carrier can hold it."""


def safe_signal(interlock: str, reason: str) -> LineSignal:
    """Return what the line hears when nobody inspects: a stop, or a warning as configured."""
    return LineSignal(LOST, run=interlock == "warning", warning=True, reason=reason)
