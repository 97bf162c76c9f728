"""Quiet hours of the console: nothing sounds, everything is shown."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import time

from shopfloor_contracts.rules import QuietHours


def is_quiet(hours: Iterable[QuietHours], at: time) -> bool:
    """Say whether ``at``, of the site's clock, lies in one of the stretches."""
    return any(_holds(stretch, at) for stretch in hours)


def _holds(stretch: QuietHours, at: time) -> bool:
    start, end = time.fromisoformat(stretch.start), time.fromisoformat(stretch.end)
    if start < end:
        return start <= at < end
    return at >= start or at < end
