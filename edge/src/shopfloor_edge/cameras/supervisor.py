"""Keeps one camera alive: opens, watches for silence, rebuilds with growing pauses.

A frozen camera says nothing at all, so silence is measured; a live stream's end is a failure;
only a full rebuild of the pipeline recovers reliably.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from shopfloor_contracts.events import CameraStatus
from shopfloor_edge.cameras.mailbox import Bell, Mailbox
from shopfloor_edge.cameras.ports import Frame, FrameSource
from shopfloor_edge.errors import (
    SourceEndedError,
    SourceError,
    SourceLostError,
    SourceUnusableError,
)

log = logging.getLogger(__name__)

STALL_S = 3.0
"""No frame for so long is a failure: a camera at 1 fps still gives three."""
FIRST_FRAME_S = 10.0
"""A camera may take longer to begin: negotiation, then the next key frame."""
BACKOFF_FIRST_S, BACKOFF_LAST_S = 0.5, 10.0
RATE_WINDOW_S = 2.0


@dataclass(frozen=True, slots=True)
class CameraReport:
    """What is known about a camera now."""

    status: CameraStatus = CameraStatus.CONNECTING
    reason: str = ""
    fps: float = 0.0
    """Frames that arrive."""
    video_bytes: int = 0
    connects: int = 0


class CameraSupervisor:
    """One camera's thread.

    Args:
        open_source: opens the camera anew; raises the ``SourceError`` family.
        is_file: a file ends and is not tried again.
        fps: live frames above this rate are not handed on.
    """

    def __init__(
        self,
        name: str,
        open_source: Callable[[], FrameSource],
        *,
        is_file: bool,
        fps: float,
        bell: Bell,
    ) -> None:
        self.name, self.is_file = name, is_file
        self.mailbox = Mailbox(bell)
        self._bell = bell
        self._open_source = open_source
        self._interval_s = 1.0 / fps
        self._stop = threading.Event()
        self._report = CameraReport()
        self._bytes_before = 0
        self._thread = threading.Thread(target=self._run, name=f"camera-{name}", daemon=True)

    @property
    def report(self) -> CameraReport:
        """The state now; safe from any thread."""
        return self._report

    @property
    def finished(self) -> bool:
        """Whether no further frame can come."""
        return not self._thread.is_alive()

    def start(self) -> None:
        """Begin in a thread of its own."""
        self._thread.start()

    def stop(self, timeout_s: float = 5.0) -> None:
        """Ask the thread to end and wait."""
        self._stop.set()
        self._thread.join(timeout_s)

    def _run(self) -> None:
        failures = 0
        try:
            while not self._stop.is_set():
                connects = self._report.connects
                try:
                    self._watch()
                except SourceError as e:
                    if self._ends(e):
                        return
                failures = 1 if self._report.connects > connects else failures + 1
                pause_s = min(BACKOFF_LAST_S, BACKOFF_FIRST_S * 2 ** min(failures - 1, 8))
                self._stop.wait(pause_s * random.uniform(0.8, 1.2))
        except Exception:
            log.exception("camera thread failed", extra={"camera": self.name})
            self._tell(CameraStatus.MISCONFIGURED, "internal error, see the log")
        finally:
            self._bell.ring()

    def _ends(self, error: SourceError) -> bool:
        """Record why the source gave up; say whether that is final."""
        if self.is_file and isinstance(error, SourceEndedError):
            self._tell(CameraStatus.ENDED, "")
            return True
        if isinstance(error, SourceUnusableError):
            self._tell(CameraStatus.MISCONFIGURED, str(error))
            return self.is_file
        stalled = isinstance(error, _StalledError)
        self._tell(CameraStatus.STALLED if stalled else CameraStatus.ABSENT, str(error))
        return False

    def _watch(self) -> None:
        """Open the source and hand frames on until it fails."""
        source = self._open_source()
        try:
            self._pump(source)
        finally:
            source.close()
            self._bytes_before += source.video_bytes

    def _pump(self, source: FrameSource) -> None:
        silent_since_s = time.monotonic()
        begun, due_s = False, 0.0
        rate = _Rate()
        while not self._stop.is_set():
            frame = source.read(timeout_s=0.5)
            now_s = time.monotonic()
            if frame is None:
                patience_s = STALL_S if begun else FIRST_FRAME_S
                if now_s - silent_since_s > patience_s:
                    raise _StalledError(f"no frame for {patience_s:.0f} s")
                continue
            if not begun:
                self._report = replace(self._report, connects=self._report.connects + 1)
                self._tell(CameraStatus.LIVE, "")
            silent_since_s, begun = now_s, True
            self._report = replace(
                self._report,
                fps=rate.add(now_s),
                video_bytes=self._bytes_before + source.video_bytes,
            )
            due_s = self._hand_on(frame, source.live, due_s)

    def _hand_on(self, frame: Frame, live: bool, due_s: float) -> float:  # noqa: FBT001
        """Deliver the frame if it is due; return when the next one is."""
        if not live:
            self.mailbox.put(frame, self._stop)
            return 0.0
        # A tenth of tolerance: arrival jitters, and a 10 fps camera must not become 5 fps.
        if frame.at_s < due_s - 0.1 * self._interval_s:
            return due_s
        self.mailbox.replace(frame)
        return max(due_s + self._interval_s, frame.at_s)

    def _tell(self, status: CameraStatus, reason: str) -> None:
        """Log on change only: a camera that stays away is one line, not thousands."""
        before = self._report
        fps = before.fps if status is CameraStatus.LIVE else 0.0
        self._report = replace(before, status=status, reason=reason[:200], fps=fps)
        if (before.status, before.reason) != (status, self._report.reason):
            level = (
                logging.INFO
                if status in (CameraStatus.LIVE, CameraStatus.ENDED)
                else logging.WARNING
            )
            extra = {"camera": self.name, "status": status, "reason": self._report.reason}
            log.log(level, "camera state changed", extra=extra)


class _StalledError(SourceLostError):
    """The pipeline is up and gives nothing."""


class _Rate:
    """Frames a second over the last two."""

    def __init__(self) -> None:
        self._times: list[float] = []

    def add(self, now_s: float) -> float:
        self._times.append(now_s)
        while now_s - self._times[0] > RATE_WINDOW_S:
            self._times.pop(0)
        span_s = now_s - self._times[0]
        return (len(self._times) - 1) / span_s if span_s > 0 else 0.0
