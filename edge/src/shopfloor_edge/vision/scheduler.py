"""Which camera's frame is looked at next, and how far behind the process is. Pure.

Every camera asks for a rate. As long as there is time each gets it; when there is not, each gets
the same share of what it asked for: start-time fair queueing (Goyal, Vin and Cheng, 1996) with
the rate as the weight. Nothing waits here: a camera keeps one frame, its newest.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

LOAD_WINDOW_S = 5.0
OVERLOADED_BELOW = 0.95
"""Of the frames that were due; one late frame in twenty is jitter."""
RECOVERED_ABOVE = 0.99


class FairScheduler:
    """Picks among the cameras whose frame waits.

    Args:
        rates_fps: frames a second that each camera asks for, above 0.
    """

    def __init__(self, rates_fps: Sequence[float]) -> None:
        self._interval_s = [1.0 / fps for fps in rates_fps]
        # When the camera's next frame would begin if the process served all of them in turn, in
        # seconds of footage. The origin means nothing.
        self._next = [0.0] * len(self._interval_s)
        self._now = 0.0

    def pick(self, waiting: Iterable[int]) -> int | None:
        """Return the camera that is furthest behind; None when none waits."""
        return min(waiting, key=self._begins, default=None)

    def served(self, camera: int) -> None:
        """Charge a camera for one inferred frame; a frame that cost nothing is not charged."""
        begins = self._begins(camera)
        self._now = max(self._now, begins)
        self._next[camera] = begins + self._interval_s[camera]

    def _begins(self, camera: int) -> float:
        # Who was away comes back at most one frame early, or it would push out all others.
        return max(self._next[camera], self._now - self._interval_s[camera])


@dataclass(frozen=True, slots=True)
class Load:
    """How much of the frames asked for is looked at."""

    ratio: float = 1.0
    """Frames looked at among those that were due in the last seconds, in [0, 1]."""
    overloaded: bool = False


class LoadMeter:
    """Measures the load over ``LOAD_WINDOW_S``; its state has hysteresis, so it can be told."""

    def __init__(self) -> None:
        self.load = Load()
        self._marks: deque[tuple[float, int, int]] = deque()

    def update(self, now_s: float, *, taken: int, shed: int) -> bool:
        """Take running totals of all cameras; return whether ``load.overloaded`` changed.

        Args:
            now_s: monotonic.
            taken: frames looked at since the start, gated ones too.
            shed: frames that a newer one replaced before anybody looked.
        """
        self._marks.append((now_s, taken, shed))
        # The mark before the window's beginning stays: it is what the window is measured from.
        while len(self._marks) > 2 and now_s - self._marks[1][0] >= LOAD_WINDOW_S:
            self._marks.popleft()
        begun_s, taken_before, shed_before = self._marks[0]
        looked, lost = taken - taken_before, shed - shed_before
        ratio = looked / (looked + lost) if looked + lost else 1.0
        before = self.load.overloaded
        limit = RECOVERED_ABOVE if before else OVERLOADED_BELOW
        # A state is told only when a whole window has shown it.
        full = now_s - begun_s >= LOAD_WINDOW_S
        self.load = Load(ratio, ratio < limit if full else before)
        return self.load.overloaded != before
