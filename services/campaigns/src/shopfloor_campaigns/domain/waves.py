"""Which device is in which wave, and when a site's maintenance window is open."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from shopfloor_campaigns.domain.plan import Window


def wave_sizes(total: int, waves: Sequence[int | float]) -> list[int]:
    """Return how many of ``total`` devices each wave takes; they add up to ``total``.

    A share is of what the waves before left over, rounded up, so that a small fleet has a first
    wave too. The last wave takes the rest.
    """
    sizes: list[int] = []
    left = total
    for size in waves[:-1]:
        wanted = size if isinstance(size, int) else math.ceil(left * size - 1e-9)
        sizes.append(min(left, wanted))
        left -= sizes[-1]
    return [*sizes, left]


def assign_waves(devices: Iterable[str], waves: Sequence[int | float], seed: str) -> dict[str, int]:
    """Return each device's wave, from 0.

    The order is a digest's: it mixes sites, and no device is the first of every campaign.
    """
    shuffled = sorted(devices, key=lambda name: hashlib.sha256(f"{seed}/{name}".encode()).digest())
    found: dict[str, int] = {}
    begin = 0
    for number, size in enumerate(wave_sizes(len(shuffled), waves)):
        found.update(dict.fromkeys(shuffled[begin : begin + size], number))
        begin += size
    return found


def is_open(window: Window | None, zone: ZoneInfo, now: datetime) -> bool:
    """Return whether ``now`` is in the window; no window is always open."""
    if window is None:
        return True
    local = now.astimezone(zone)
    clock = local.time()
    if window.begin < window.end:
        return local.weekday() in window.days and window.begin <= clock < window.end
    if clock >= window.begin:
        return local.weekday() in window.days
    # Past midnight: the window began yesterday.
    return clock < window.end and (local - timedelta(days=1)).weekday() in window.days
