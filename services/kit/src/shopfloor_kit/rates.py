"""How often somebody may ask: a bucket of tokens for each caller, in memory."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable

from shopfloor_kit.errors import ProblemError

MOST_CALLERS = 10_000
"""That are remembered; who has not come for longest is forgotten first."""


class RateLimit:
    """Lets ``burst`` requests of one caller pass at once, and ``per_minute`` in the long run."""

    def __init__(
        self, *, per_minute: float, burst: int, clock_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._per_s, self._burst, self._clock_s = per_minute / 60, burst, clock_s
        self._lock = threading.Lock()
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def demand(self, caller: str) -> None:
        """Count one request. Raises ``ProblemError`` 429 when it is one too many."""
        wait_s = self.take(caller)
        if wait_s > 0:
            seconds = max(1, round(wait_s))
            raise ProblemError(
                429,
                "too-many-requests",
                f"too many requests, try again in {seconds} s",
                headers={"Retry-After": str(seconds)},
            )

    def take(self, caller: str) -> float:
        """Count one request; return 0, or after how many seconds the next may come."""
        now_s = self._clock_s()
        with self._lock:
            left, at_s = self._buckets.pop(caller, (float(self._burst), now_s))
            left = min(float(self._burst), left + (now_s - at_s) * self._per_s)
            passes = left >= 1
            self._buckets[caller] = (left - 1 if passes else left, now_s)
            if len(self._buckets) > MOST_CALLERS:
                self._buckets.popitem(last=False)
        return 0.0 if passes else (1 - left) / self._per_s
