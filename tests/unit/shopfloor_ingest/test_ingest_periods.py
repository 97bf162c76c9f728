from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from shopfloor_ingest.domain.periods import make_period
from shopfloor_ingest.errors import QueryError

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


def test_the_default_is_the_last_day():
    period = make_period(None, None, "hour", now=NOW)
    assert (period.start, period.end) == (NOW - timedelta(days=1), NOW)


def test_a_time_zone_is_taken_into_account():
    period = make_period("2026-03-01T00:00:00+01:00", "2026-03-01T00:00:00Z", "day", now=NOW)
    assert period.start == datetime(2026, 2, 28, 23, 0, tzinfo=UTC)
    assert period.bucket_s == 86_400


def test_ten_thousand_buckets_are_the_limit():
    end = datetime(2026, 3, 1, tzinfo=UTC)
    most = end - timedelta(minutes=10_000)

    assert make_period(most.isoformat(), end.isoformat(), "minute", now=NOW).start == most
    with pytest.raises(QueryError, match="10001 buckets"):
        make_period((most - timedelta(minutes=1)).isoformat(), end.isoformat(), "minute", now=NOW)


@pytest.mark.parametrize(
    ("start", "end", "bucket", "words"),
    [
        (None, None, "week", "bucket is 'week', expected one of minute, hour, day"),
        ("2026-03-01T00:00:00", None, "hour", "without a time zone"),
        ("yesterday", None, "hour", "from is 'yesterday', expected an instant"),
        ("2026-03-01T00:00:00 01:00", None, "hour", "%2B"),
        ("2026-03-03T00:00:00Z", None, "hour", "is not before to"),
        ("2026-03-01T00:00:00Z", "2026-03-01T00:00:00Z", "hour", "is not before to"),
        ("0001-01-01T00:00:00+14:00", None, "hour", "year 1"),
        (None, "9999-12-31T23:59:59-14:00", "hour", "year 9999"),
    ],
)
def test_a_wrong_question_says_what_was_expected(start, end, bucket, words):
    with pytest.raises(QueryError, match=words):
        make_period(start, end, bucket, now=NOW)
