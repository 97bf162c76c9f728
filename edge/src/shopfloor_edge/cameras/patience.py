"""How long a camera is waited for, and how often it is tried again."""

from __future__ import annotations

import random
from collections import deque
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Patience:
    """Waiting times of a supervisor. Each has a reason."""

    stall_s: float = 3.0
    """No frame for so long is a failure: a camera at 1 fps still gives three."""
    first_frame_s: float = 10.0
    """A camera may take longer to begin: negotiation, then the next key frame."""
    pause_first_s: float = 0.5
    pause_last_s: float = 2.5
    """A camera that is back must be seen within five seconds. The longest pause with its jitter is
    3 s, a try on a silent host may just have missed it and lasts 1 s more, and opening takes half
    a second. A try costs one packet while the host is away: 64 absent cameras take a hundredth of
    a core."""
    pause_refused_s: float = 60.0
    """Cameras lock an account after five to ten wrong passwords within half an hour or less; a new
    password file ends the pause."""
    jitter_ratio: float = 0.2
    """So that cameras behind one switch don't come back in step."""
    flap_window_s: float = 600.0
    flaps_many: int = 5
    """Lost so often within the window is a flapping camera: cable, power or a full network."""

    def pause_s(self, failures: int) -> float:
        """Return the pause after so many failures in a row, at least one."""
        pause_s = min(self.pause_last_s, self.pause_first_s * 2.0 ** min(failures - 1, 8))
        return pause_s * random.uniform(1 - self.jitter_ratio, 1 + self.jitter_ratio)


class FlapCounter:
    """How often a live camera was lost lately."""

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        # Bounded: what is older than that many losses changes no verdict.
        self._lost_at_s: deque[float] = deque(maxlen=1000)

    def lost(self, now_s: float) -> None:
        """Note that the camera was live and is no more."""
        self._lost_at_s.append(now_s)

    def count(self, now_s: float) -> int:
        """Return the losses within the window."""
        since_s = now_s - self._patience.flap_window_s
        while self._lost_at_s and self._lost_at_s[0] < since_s:
            self._lost_at_s.popleft()
        return len(self._lost_at_s)

    def reason(self, now_s: float) -> str:
        """Return words for a camera that flaps, empty for one that does not."""
        count = self.count(now_s)
        if count < self._patience.flaps_many:
            return ""
        return f"flapping: lost {count} times in {self._patience.flap_window_s / 60:.0f} minutes"
