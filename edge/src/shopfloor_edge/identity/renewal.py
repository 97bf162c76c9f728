"""Renews the certificate beside the agent's loop: at two thirds of its life, with patience."""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable
from datetime import UTC, datetime

from shopfloor_edge.errors import EdgeError, NotEnrolledError
from shopfloor_edge.identity.device import Identity
from shopfloor_edge.identity.pairs import Pair

log = logging.getLogger(__name__)

LOOK_S = 3600.0
"""A look at the certificate reads one file; a clock that jumps is noticed within it."""
RETRY_MIN_S, RETRY_MAX_S = 60.0, 6 * 3600.0
_SPREAD = 0.2


class Renewal:
    """Decides when to renew; ``step`` does what is due and says how long to wait."""

    def __init__(
        self,
        identity: Identity,
        on_renewed: Callable[[Pair], None],
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._identity, self._on_renewed, self._now = identity, on_renewed, now
        self._failures = 0

    def step(self) -> float:
        """Renew where it is time; return after how many seconds to come again."""
        try:
            pair = self._identity.pairs.current()
            now = self._now()
            if now < pair.renew_at:
                return self._until(pair, now)
            renewed = self._identity.renew()
        except NotEnrolledError:
            return LOOK_S
        except (EdgeError, OSError) as e:
            return self._failed(e)
        self._failures = 0
        log.info("certificate renewed", extra={"until": renewed.not_after.isoformat()})
        self._on_renewed(renewed)
        return LOOK_S

    def _until(self, pair: Pair, now: datetime) -> float:
        self._failures = 0
        left_s = (pair.renew_at - now).total_seconds()
        return min(LOOK_S, max(1.0, left_s))

    def _failed(self, error: Exception) -> float:
        wait_s = min(RETRY_MAX_S, RETRY_MIN_S * 2.0**self._failures)
        self._failures = min(self._failures + 1, 16)
        # Devices of a site were enrolled together; they are not to come together.
        wait_s *= random.uniform(1 - _SPREAD, 1 + _SPREAD)
        fields = {"reason": str(error), "retry_s": round(wait_s)}
        log.warning("certificate not renewed, trying again", extra=fields)
        return wait_s


class RenewalThread:
    """Runs ``Renewal`` until it is stopped."""

    def __init__(self, renewal: Renewal) -> None:
        self._renewal, self._stop = renewal, threading.Event()
        self._thread = threading.Thread(target=self._run, name="identity", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self, patience_s: float = 5.0) -> None:
        """End; a renewal that is under way is cut, which costs nothing but itself."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(patience_s)

    def _run(self) -> None:
        wait_s = 0.0
        while not self._stop.wait(wait_s):
            try:
                wait_s = self._renewal.step()
            except Exception:
                # The way out for figures must not end with a fault in here.
                log.exception("renewal ended unexpectedly, starting again")
                wait_s = RETRY_MIN_S
