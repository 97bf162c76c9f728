"""Hand frames from camera threads to the one inference loop."""

from __future__ import annotations

import threading

from shopfloor_edge.cameras.ports import Frame


class Bell:
    """Rung by any camera, waited for by the loop."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def ring(self) -> None:
        """Wake the loop."""
        self._event.set()

    def wait(self, timeout_s: float) -> None:
        """Sleep until rung, at most ``timeout_s``."""
        if self._event.wait(timeout_s):
            self._event.clear()


class Mailbox:
    """Room for one frame. A live camera's newer frame replaces it; a file waits its turn."""

    def __init__(self, bell: Bell) -> None:
        self._bell = bell
        self._frame: Frame | None = None
        self._changed = threading.Condition()
        self.shed = 0
        """Frames replaced before anybody looked."""

    def replace(self, frame: Frame) -> None:
        """Put the newest frame, shed the one not yet taken."""
        with self._changed:
            self.shed += self._frame is not None
            self._frame = frame
        self._bell.ring()

    def put(self, frame: Frame, stop: threading.Event) -> None:
        """Put a frame that must be seen: wait until there is room, or ``stop``."""
        with self._changed:
            while self._frame is not None and not stop.is_set():
                self._changed.wait(0.2)
            if not stop.is_set():
                self._frame = frame
        self._bell.ring()

    @property
    def waiting(self) -> bool:
        """Whether a frame is there to be taken."""
        return self._frame is not None

    def take(self) -> Frame | None:
        """Return the waiting frame, if any."""
        with self._changed:
            frame, self._frame = self._frame, None
            self._changed.notify_all()
        return frame
