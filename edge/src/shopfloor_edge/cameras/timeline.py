"""Time in a file, made to go forward whatever the file says."""

from __future__ import annotations

MAX_STEP_S = 600.0
"""A recording may pause; a longer gap is taken for a broken clock. It also bounds how many empty
windows one frame can close."""
FIRST_STEP_S = 0.1
"""Between frames before two of them have told the rate."""


class Timeline:
    """Presentation times in, strictly increasing seconds from the first frame's out."""

    def __init__(self) -> None:
        self._shift_s = 0.0
        self._last_s: float | None = None
        self._step_s = FIRST_STEP_S
        self.jumps = 0
        """Times that went back, stood still, leapt, or were missing."""

    def at(self, pts_s: float | None) -> float:
        """Return the frame's time; a jump goes on at the rate known so far."""
        if self._last_s is None:
            self._last_s = pts_s if pts_s is not None and 0 <= pts_s <= MAX_STEP_S else 0.0
            self._shift_s = self._last_s - (pts_s or 0.0)
            return self._last_s
        step_s = self._step_s if pts_s is None else pts_s + self._shift_s - self._last_s
        if pts_s is None or not 0 < step_s <= MAX_STEP_S:
            self.jumps += 1
            step_s = self._step_s
            if pts_s is not None:
                self._shift_s = self._last_s + step_s - pts_s
        elif step_s < 1.0:
            self._step_s = step_s
        self._last_s += step_s
        return self._last_s
