"""A device's clock beside ours: a certificate that is not yet or no longer valid helps nobody."""

from __future__ import annotations

from datetime import datetime, timedelta

from shopfloor_identity.errors import RefusedError

CLOCK_MAX_OFF = timedelta(minutes=10)


def check_clock(theirs: datetime, ours: datetime, name: str) -> None:
    """Refuse a device whose clock is far off. Raises ``RefusedError``."""
    off = theirs - ours
    if abs(off) <= CLOCK_MAX_OFF:
        return
    hours = abs(off).total_seconds() / 3600
    where = "ahead" if off > timedelta(0) else "behind"
    detail = (
        f"the clock of {name} is {hours:.1f} h {where} ({theirs:%Y-%m-%dT%H:%M%z}, here "
        f"{ours:%Y-%m-%dT%H:%M%z}); set it, and try again"
    )
    raise RefusedError("clock-off", detail, status=409, subject=name)
