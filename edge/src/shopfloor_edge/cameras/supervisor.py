"""Keeps one camera alive: opens, watches for silence, rebuilds with growing pauses.

A frozen camera says nothing at all, so silence is measured; a live stream's end is a failure;
only a full rebuild of the pipeline recovers reliably.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from dataclasses import dataclass, replace
from typing import Protocol

from shopfloor_contracts.events import CameraStatus
from shopfloor_edge.cameras.arenas import trim_arenas
from shopfloor_edge.cameras.mailbox import Bell, Mailbox
from shopfloor_edge.cameras.patience import FlapCounter, Patience
from shopfloor_edge.cameras.ports import Frame, FrameSource
from shopfloor_edge.errors import (
    SourceEndedError,
    SourceError,
    SourceLostError,
    SourceRefusedError,
    SourceUnusableError,
)

log = logging.getLogger(__name__)

RATE_WINDOW_S = 2.0
READ_S = 0.5
"""One read's limit: how soon a stop is noticed, and how finely silence is measured."""
NOTE_S = 0.5
"""The report is at most so old, also while frames come faster than they are due."""


@dataclass(frozen=True, slots=True)
class CameraReport:
    """What is known about a camera now."""

    status: CameraStatus = CameraStatus.CONNECTING
    reason: str = ""
    """Why it is not live; of a live one, that it flaps or that its times were mended."""
    fps: float = 0.0
    """Frames that arrive."""
    size: tuple[int, int] = (0, 0)
    """Of the newest frame; it may change in mid-stream."""
    video_bytes: int = 0
    connects: int = 0
    flaps: int = 0
    """Times that it was live and got lost, within the last minutes."""
    decoder: str = ""
    fallbacks: int = 0
    """Openings that fell back to a slower decoder than the platform's."""
    fallback_reason: str = ""
    """Of the newest one."""


class Opener(Protocol):
    """Opens the camera anew."""

    def __call__(self) -> FrameSource:
        """Return the opened source; raises the ``SourceError`` family."""
        ...

    def stamp(self) -> int:
        """Return a number that changes when an operator changed how the camera is opened."""
        ...


class CameraSupervisor:
    """One camera's thread.

    Args:
        is_file: a file ends and is not tried again.
        fps: live frames above this rate are not handed on.
    """

    def __init__(
        self,
        name: str,
        open_source: Opener,
        *,
        is_file: bool,
        fps: float,
        bell: Bell,
        patience: Patience = Patience(),  # noqa: B008 — frozen
    ) -> None:
        self.name, self.is_file = name, is_file
        self.mailbox = Mailbox(bell)
        self._bell, self._patience = bell, patience
        self._open_source = open_source
        self._interval_s = 1.0 / fps
        self._stop = threading.Event()
        self._report = CameraReport()
        self._flaps = FlapCounter(patience)
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
                connects, stamp = self._report.connects, self._open_source.stamp()
                refused = False
                try:
                    self._watch()
                except SourceError as e:
                    if self._ends(e):
                        return
                    refused = isinstance(e, SourceRefusedError)
                failures = 1 if self._report.connects > connects else failures + 1
                self._rest(failures, refused_with=stamp if refused else None)
        except Exception:
            log.exception("camera thread failed", extra={"camera": self.name})
            self._tell(CameraStatus.MISCONFIGURED, "internal error, see the log")
        finally:
            self._bell.ring()

    def _rest(self, failures: int, *, refused_with: int | None) -> None:
        """Wait before the next try; after a refusal, until an operator changed something."""
        if refused_with is None:
            self._stop.wait(self._patience.pause_s(failures))
            return
        until_s = time.monotonic() + self._patience.pause_refused_s
        while time.monotonic() < until_s and self._open_source.stamp() == refused_with:
            if self._stop.wait(min(READ_S, self._patience.pause_refused_s)):
                return

    def _ends(self, error: SourceError) -> bool:
        """Record why the source gave up; say whether that is final."""
        if self.is_file and isinstance(error, SourceEndedError):
            self._tell(CameraStatus.ENDED, self._report.reason)
            return True
        if self._report.status is CameraStatus.LIVE:
            self._flaps.lost(time.monotonic())
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
            del source
            trim_arenas()

    def _pump(self, source: FrameSource) -> None:
        silent_since_s, bytes_before = time.monotonic(), 0
        begun, due_s, noted_s = False, 0.0, 0.0
        rate = _Rate()
        while not self._stop.is_set():
            frame = source.read(timeout_s=min(READ_S, self._patience.stall_s))
            now_s = time.monotonic()
            if frame is None:
                patience = self._patience
                limit_s = patience.stall_s if begun else patience.first_frame_s
                if now_s - silent_since_s > limit_s:
                    raise _StalledError(limit_s, source.video_bytes - bytes_before)
                continue
            if not begun:
                self._begin(source)
            silent_since_s, bytes_before, begun = now_s, source.video_bytes, True
            fps, due = rate.add(now_s), not source.live or self._is_due(frame, due_s)
            # Of three frames two are shed, so a shed one must cost next to nothing.
            if due or now_s - noted_s >= NOTE_S or frame.size != self._report.size:
                self._note(frame, source, fps)
                noted_s = now_s
            if due:
                due_s = self._hand_on(frame, source.live, due_s)

    def _begin(self, source: FrameSource) -> None:
        before, facts = self._report, source.facts
        self._report = replace(
            before,
            connects=before.connects + 1,
            decoder=facts.decoder,
            fallbacks=before.fallbacks + bool(facts.fallback),
            fallback_reason=facts.fallback or before.fallback_reason,
        )
        if facts.fallback and facts.fallback != before.fallback_reason:
            extra = {"camera": self.name, "decoder": facts.decoder, "reason": facts.fallback}
            log.warning("decoding falls back to software", extra=extra)

    def _note(self, frame: Frame, source: FrameSource, fps: float) -> None:
        """Bring the report up to date with the newest frame."""
        before = self._report
        if before.size not in (frame.size, (0, 0)):
            extra = {"camera": self.name, "before": before.size, "now": frame.size}
            log.warning("picture size changed", extra=extra)
        now_s = time.monotonic()
        self._report = replace(
            before,
            fps=fps,
            size=frame.size,
            video_bytes=self._bytes_before + source.video_bytes,
            flaps=self._flaps.count(now_s),
        )
        mended = "times that do not go forward were mended" if source.facts.time_jumps else ""
        self._tell(CameraStatus.LIVE, self._flaps.reason(now_s) or mended)

    def _is_due(self, frame: Frame, due_s: float) -> bool:
        # A tenth of tolerance: arrival jitters, and a 10 fps camera must not become 5 fps.
        return frame.at_s >= due_s - 0.1 * self._interval_s

    def _hand_on(self, frame: Frame, live: bool, due_s: float) -> float:  # noqa: FBT001
        """Deliver a frame that is due; return when the next one is."""
        if not live:
            self.mailbox.put(frame, self._stop)
            return 0.0
        self.mailbox.replace(frame)
        return max(due_s + self._interval_s, frame.at_s)

    def _tell(self, status: CameraStatus, reason: str) -> None:
        """Log on change only: a camera that stays away is one line, not thousands."""
        before = self._report
        if (before.status, before.reason) == (status, reason[:200]):
            return
        fps = before.fps if status is CameraStatus.LIVE else 0.0
        flaps = self._flaps.count(time.monotonic())
        self._report = replace(before, status=status, reason=reason[:200], fps=fps, flaps=flaps)
        good = status in (CameraStatus.LIVE, CameraStatus.ENDED)
        extra = {"camera": self.name, "status": status, "reason": self._report.reason}
        log.log(logging.INFO if good else logging.WARNING, "camera state changed", extra=extra)


class _StalledError(SourceLostError):
    """The pipeline is up and gives nothing."""

    def __init__(self, limit_s: float, received_bytes: int) -> None:
        received = f"; {received_bytes} bytes came that do not decode" if received_bytes else ""
        super().__init__(f"no frame for {limit_s:g} s{received}")


class _Rate:
    """Frames a second over the last two."""

    def __init__(self) -> None:
        self._times: deque[float] = deque()

    def add(self, now_s: float) -> float:
        self._times.append(now_s)
        while now_s - self._times[0] > RATE_WINDOW_S:
            self._times.popleft()
        span_s = now_s - self._times[0]
        return (len(self._times) - 1) / span_s if span_s > 0 else 0.0
