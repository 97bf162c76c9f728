from __future__ import annotations

from datetime import timedelta

from fakes.ingest_events import EPOCH
from shopfloor_ingest.usecases import FORGET_BATCH, Retention


class Past:
    """A history with a number of old rows, and a stop that comes after some steps."""

    def __init__(self, *, events: int = 0, minutes: int = 0, patience: int = 1000) -> None:
        self.events, self.minutes, self._patience = events, minutes, patience
        self.asked: list[int] = []

    def forget_events(self, before, limit):
        self.asked.append(before)
        gone = min(limit, self.events)
        self.events -= gone
        return gone

    def forget_minutes(self, before):
        self.asked.append(before)
        gone = min(7, self.minutes)
        self.minutes -= gone
        return gone

    def is_set(self):
        return self._patience <= 0

    def wait(self, timeout):
        self._patience -= 1
        return self._patience < 0


def test_what_is_too_old_goes_in_steps_until_none_is_left():
    past = Past(events=2 * FORGET_BATCH + 1, minutes=15)

    gone = Retention(timedelta(days=2), timedelta(days=9)).enforce(past, EPOCH, past)

    assert gone == 2 * FORGET_BATCH + 16
    now = int(EPOCH.timestamp())
    assert past.asked == [now - 2 * 86_400] * 4 + [now - 9 * 86_400] * 4


def test_without_a_limit_all_is_kept():
    past = Past(events=5, minutes=5)

    assert Retention(None, None).enforce(past, EPOCH, past) == 0
    assert past.asked == []


def test_a_stop_ends_it_between_two_steps():
    past = Past(events=9 * FORGET_BATCH, patience=2)

    Retention(timedelta(days=2), timedelta(days=9)).enforce(past, EPOCH, past)

    assert past.events == 7 * FORGET_BATCH
