"""What a notice is, when it may go and what it waits for. No clock, no network."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, time
from enum import StrEnum

from shopfloor_contracts.rules import QuietHours, Severity

WEIGHT = {Severity.INFO: 0, Severity.WARNING: 1, Severity.CRITICAL: 2}
RETRY_FIRST_S, RETRY_MAX_S = 5.0, 600.0
HOUR_S = 3600.0


class Reason(StrEnum):
    """Why an alert is told."""

    RAISED = "raised"
    REMINDER = "reminder"
    """It was told, and nobody has acknowledged it since."""


@dataclass(frozen=True, slots=True)
class Notice:
    """One alert to tell. It holds nothing that could show or name a person.

    Instants are seconds since the epoch.
    """

    alert_id: str
    rule: str
    metric: str
    camera: str
    about: str
    """Zone, line or slot; empty for the camera itself."""
    severity: Severity
    raised_at: float
    reason: Reason
    key: str
    """What makes it the same notice when it is seen again."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A notice of one target, and since when it waits."""

    id: int
    notice: Notice
    since: float


@dataclass(frozen=True, slots=True)
class Manners:
    """How a target is spoken to."""

    digest_s: float
    messages_per_hour: int


def is_quiet(now: datetime, hours: Iterable[QuietHours]) -> bool:
    """Tell whether ``now``, in the site's time zone, lies in one of the stretches."""
    clock = now.time().replace(tzinfo=None)
    return any(_holds(clock, stretch) for stretch in hours)


def _holds(clock: time, stretch: QuietHours) -> bool:
    start, end = time.fromisoformat(stretch.start), time.fromisoformat(stretch.end)
    if start < end:
        return start <= clock < end
    return clock >= start or clock < end


def has_room(sent_at: Sequence[float], now: float, how: Manners) -> bool:
    """Tell whether a target may be sent a message more.

    Args:
        sent_at: when it was sent one lately; the last hour is what counts.
    """
    return sum(at > now - HOUR_S for at in sent_at) < how.messages_per_hour


def may_go(waiting: Sequence[Waiting], now: float, how: Manners) -> bool:
    """Tell whether what waits for a target goes now, all of it as one message."""
    if not waiting:
        return False
    urgent = any(one.notice.severity is Severity.CRITICAL for one in waiting)
    return urgent or now - min(one.since for one in waiting) >= how.digest_s


def reminder_due(raised_at: float, told: int, now: float, *, first_s: float, then_s: float) -> bool:
    """Tell whether an alert that nobody acknowledged is told again.

    Args:
        told: how often it has been repeated already.
    """
    return now >= raised_at + first_s + told * then_s


def retry_after_s(failures: int) -> float:
    """Return how long to leave a target alone after so many failures in a row."""
    return min(RETRY_MAX_S, RETRY_FIRST_S * 2.0 ** min(failures - 1, 20))
