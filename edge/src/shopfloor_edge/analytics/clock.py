"""A clock that never goes back, made from frame times that may."""

from __future__ import annotations


class SteadyClock:
    """Seconds since the first frame.

    A file that starts again or a clock that is set back makes time stand still for one frame; a
    step forward counts as elapsed, and it is the caller's to say how long a gap may be.
    """

    def __init__(self) -> None:
        self.now_s = 0.0
        self._last_s: float | None = None

    def tick(self, at_s: float) -> float:
        """Take a frame's time; return the seconds since the frame before, never negative."""
        elapsed_s = 0.0 if self._last_s is None else max(0.0, at_s - self._last_s)
        self._last_s = at_s
        self.now_s += elapsed_s
        return elapsed_s
