"""Expiries of signed metadata as metrics: what they cost, and a repository that cannot be read."""

from __future__ import annotations

from datetime import UTC, datetime

from shopfloor_registry.adapters.metrics import TrustExpiry

EPOCH = datetime(2026, 3, 1, 11, tzinfo=UTC)


def test_expiries_are_read_again_after_ten_minutes_and_not_before():
    clock, reads = [0.0], []

    def expiries():
        reads.append(clock[0])
        return {"root": EPOCH}

    collector = TrustExpiry(expiries, lambda: clock[0])
    for clock[0] in (0.0, 30.0, 599.0, 601.0):
        [family] = collector.collect()
        assert [sample.value for sample in family.samples] == [EPOCH.timestamp()]

    assert reads == [0.0, 601.0]


def test_a_repository_that_cannot_be_read_has_no_expiries():
    def expiries():
        raise OSError("no such folder")

    [family] = TrustExpiry(expiries).collect()

    assert family.samples == []
