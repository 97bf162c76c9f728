"""How often a PIN may be tried, so that guessing is hopeless and nobody is locked out by others.

Wrong PINs are counted for a person *and where they came from*: on each enrolled tablet apart, and
once for everything that is not enrolled. Somebody in the building's network who guesses a name's
PIN makes the wait longer for browsers that are not enrolled; the staff's own tablets do not notice.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

FREE = 4
"""Wrong PINs in a row that cost no wait."""
FIRST_WAIT = timedelta(seconds=15)
LONGEST_ELSEWHERE, LONGEST_TABLET = timedelta(hours=1), timedelta(minutes=5)
"""With the first, a name's PIN is tried 24 times a day by strangers: one of a million is safe."""
WINDOW = timedelta(minutes=5)
PER_ADDRESS, PER_TABLET, ELSEWHERE = 20, 60, 60
"""Attempts in a window, right ones too: from one address, on one tablet, and from all that is not
enrolled together, since an address costs nothing where IPv6 is spoken."""
BUCKETS = 10_000


@dataclass(frozen=True, slots=True)
class Source:
    """Where an attempt comes from."""

    address: str
    tablet: str = ""
    """Digest of the enrolled tablet; empty elsewhere."""


@dataclass(slots=True)
class _Bucket:
    wrong: int = 0
    until: datetime | None = None


class Attempts:
    """In memory: a restart forgives, and nobody who guesses can restart the process."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock, self._lock = clock, threading.Lock()
        self._people: OrderedDict[tuple[str, str], _Bucket] = OrderedDict()
        self._recent: OrderedDict[str, list[datetime]] = OrderedDict()

    def begin(self, source: Source, name: str) -> timedelta:
        """Count an attempt as wrong before it is known; return how long to wait, 0 to go on.

        Counted first, so that many attempts at once are no way around.
        """
        now = self._clock()
        with self._lock:
            wait = self._rate_wait(source, now)
            if wait:
                return wait
            bucket = self._bucket(source, name)
            if bucket.until is not None and now < bucket.until:
                return bucket.until - now
            bucket.wrong += 1
            over = bucket.wrong - FREE
            if over > 0:
                longest = LONGEST_TABLET if source.tablet else LONGEST_ELSEWHERE
                bucket.until = now + min(FIRST_WAIT * 2 ** min(over - 1, 20), longest)
            return timedelta(0)

    def succeed(self, source: Source, name: str) -> None:
        """Forget the wrong PINs of a person there."""
        with self._lock:
            self._people.pop(_key(source, name), None)

    def _bucket(self, source: Source, name: str) -> _Bucket:
        key = _key(source, name)
        bucket = self._people.setdefault(key, _Bucket())
        self._people.move_to_end(key)
        while len(self._people) > BUCKETS:
            self._people.popitem(last=False)
        return bucket

    def _rate_wait(self, source: Source, now: datetime) -> timedelta:
        limits = {source.address: PER_ADDRESS, "": ELSEWHERE}
        if source.tablet:
            limits = {source.tablet: PER_TABLET}
        recent = {
            key: [at for at in self._recent.get(key, []) if now - at < WINDOW] for key in limits
        }
        for key, limit in limits.items():
            if len(recent[key]) >= limit:
                return recent[key][0] + WINDOW - now
        for key in limits:
            self._recent[key] = [*recent[key], now]
            self._recent.move_to_end(key)
        while len(self._recent) > BUCKETS:
            self._recent.popitem(last=False)
        return timedelta(0)


def _key(source: Source, name: str) -> tuple[str, str]:
    return source.tablet, name.casefold()
