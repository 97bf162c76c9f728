"""Which stretch of time a report covers, and how it is cut. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from shopfloor_ingest.errors import QueryError

BUCKETS = {"minute": 60, "hour": 3600, "day": 86_400}
"""Seconds of each; days are UTC days."""

MAX_BUCKETS = 10_000
"""One answer stays below some megabytes: a week of minutes, a year of hours."""

DEFAULT_LENGTH = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Period:
    """From ``start`` (included) to ``end`` (excluded), in buckets of ``bucket``."""

    start: datetime
    end: datetime
    bucket: str

    @property
    def bucket_s(self) -> int:
        """Length of a bucket."""
        return BUCKETS[self.bucket]


def make_period(start: str | None, end: str | None, bucket: str, *, now: datetime) -> Period:
    """Read what a client asked for; the default is the 24 hours before ``end`` or now.

    Raises:
        QueryError: with what was found and what was expected.
    """
    if bucket not in BUCKETS:
        raise QueryError(f"bucket is {bucket[:40]!r}, expected one of {', '.join(BUCKETS)}")
    until = now if end is None else _instant("to", end)
    since = until - DEFAULT_LENGTH if start is None else _instant("from", start)
    if since >= until:
        raise QueryError(f"from ({since.isoformat()}) is not before to ({until.isoformat()})")
    period = Period(since, until, bucket)
    buckets = (until - since).total_seconds() / period.bucket_s
    if buckets > MAX_BUCKETS:
        raise QueryError(f"{buckets:.0f} buckets of a {bucket} asked for, limit {MAX_BUCKETS}")
    return period


def _instant(key: str, text: str) -> datetime:
    try:
        instant = datetime.fromisoformat(text)
    except ValueError as e:
        hint = "an instant like 2026-03-01T00:00:00Z (write the + of a time zone as %2B)"
        raise QueryError(f"{key} is {text[:40]!r}, expected {hint}") from e
    if instant.tzinfo is None:
        raise QueryError(f"{key} is {text[:40]!r} without a time zone, expected e.g. a final Z")
    if not 1971 <= instant.year <= 9998:
        raise QueryError(f"{key} is in the year {instant.year}, expected 1971 to 9998")
    return instant.astimezone(UTC)
