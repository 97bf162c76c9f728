"""When the next heartbeat is due: in its turn, and soon after a camera was lost or came back."""

from __future__ import annotations

from collections.abc import Iterable

from shopfloor_contracts.events import CameraStatus
from shopfloor_edge.journal.state import CameraRow

LOOK_EVERY_S = 1.0
"""How often cameras are looked at between heartbeats."""
GAP_S = 5.0
"""Between two heartbeats at least, so that a camera that comes and goes costs little."""

_LOST = (CameraStatus.ABSENT, CameraStatus.STALLED, CameraStatus.MISCONFIGURED)


class Cadence:
    """Times of heartbeats, in seconds of one clock that only goes forward."""

    def __init__(self, period_s: float) -> None:
        self._period_s = period_s
        self._due_s = 0.0
        self._look_s = 0.0
        self._told: frozenset[str] = frozenset()

    def begin(self, now_s: float) -> None:
        """Make one due: the cloud has just heard of us."""
        self._due_s = now_s

    def told(self, now_s: float, cameras: Iterable[CameraRow]) -> None:
        """Take note of a heartbeat that says how ``cameras`` are."""
        self._due_s, self._look_s = now_s + self._period_s, now_s + GAP_S
        self._told = _lost(cameras)

    def is_due(self, now_s: float) -> bool:
        """Say whether the period is over."""
        return now_s >= self._due_s

    def is_nearly_due(self, now_s: float) -> bool:
        """Say whether half of the period is over: then it may ride with a batch."""
        return now_s >= self._due_s - self._period_s / 2

    def wants_look(self, now_s: float) -> bool:
        """Say whether it is time to ask how cameras are; at most every ``LOOK_EVERY_S``."""
        if now_s < self._look_s:
            return False
        self._look_s = now_s + LOOK_EVERY_S
        return True

    def is_news(self, cameras: Iterable[CameraRow]) -> bool:
        """Say whether other cameras are lost than the last heartbeat said."""
        return _lost(cameras) != self._told


def _lost(cameras: Iterable[CameraRow]) -> frozenset[str]:
    return frozenset(row.camera for row in cameras if row.status in _LOST)
