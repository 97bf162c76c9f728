"""Masked clips of what led to an alert: kept on the device, never sent.

A clip is an animated WebP, which any browser shows. It is made of frames that were inferred, each
masked by its own boxes before it is kept (see ``evidence.pixelate``); one without boxes is coarse
as a whole. Age and total size are bounded; the oldest clip goes first.
"""

from __future__ import annotations

import logging
import os
import queue
import re
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Protocol, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from shopfloor_contracts.site import EvidenceSpec
from shopfloor_edge.cameras.ports import Planes
from shopfloor_edge.vision.evidence import Picture, picture_of, pixelate, shrunk

log = logging.getLogger(__name__)

WIDTH_PX = 640
JPEG_QUALITY, WEBP_QUALITY = 75, 60
WAITING_MAX = 4
"""Clips that wait to be encoded (1.5 s of one core for 10 s); a further one is dropped, counted."""
_NAME = re.compile(r"^\d{8}T\d{6}-[a-z0-9-]+\.webp$")


@dataclass(frozen=True, slots=True)
class Still:
    """One masked frame in the ring."""

    at_s: float
    jpeg: bytes


@dataclass(frozen=True, slots=True)
class Clip:
    """Frames around one alert, ready to be encoded."""

    name: str
    """File name without its ending: UTC time, camera, rule."""
    stills: tuple[Still, ...]
    alerts: tuple[str, ...] = ()
    """Identities of the alerts that it shows."""


class ClipStore:
    """The folder of clips, bounded by age and size.

    Args:
        clock: seconds since the epoch.
    """

    def __init__(self, folder: Path, spec: EvidenceSpec, *, clock: Callable[[], float]) -> None:
        self._folder, self._spec, self._clock = folder, spec, clock

    def add(self, clip: Clip) -> Path:
        """Write the clip and make room; return its path.

        Raises:
            OSError: the disk refuses; nothing half-written is left.
        """
        path = self._folder / f"{clip.name}.webp"
        write_whole(path, encode(clip.stills))
        self.trim()
        return path

    def trim(self) -> int:
        """Delete what is too old or too much, oldest first; return how many clips went."""
        clips = sorted((path.stat().st_mtime, path) for path in self._clips())
        total = sum(path.stat().st_size for _, path in clips)
        oldest_s = self._clock() - self._spec.keep_days * 86_400
        gone = 0
        for written_s, path in clips:
            if written_s >= oldest_s and total <= self._spec.quota_bytes:
                break
            total -= path.stat().st_size
            path.unlink()
            gone += 1
        return gone

    def _clips(self) -> list[Path]:
        # Only files that we named: a folder set by mistake loses nothing else.
        if not self._folder.is_dir():
            return []
        return [path for path in self._folder.iterdir() if _NAME.match(path.name)]


def write_whole(path: Path, content: bytes) -> None:
    """Write a file, and its folder where there is none; half of it never has its name.

    Raises:
        OSError: the disk refuses.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    part = path.with_suffix(".part")
    try:
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.rename(path)
    finally:
        part.unlink(missing_ok=True)


class Named(Protocol):
    """A clip of any sort."""

    @property
    def name(self) -> str:
        """File name without its ending."""
        ...


NamedClip = TypeVar("NamedClip", bound=Named)
Taken_contra = TypeVar("Taken_contra", bound=Named, contravariant=True)


class Keeper(Protocol[Taken_contra]):
    """A folder of clips; raises OSError when the disk refuses."""

    def add(self, clip: Taken_contra, /) -> Path:
        """Write a clip."""
        ...

    def trim(self) -> int:
        """Make room."""
        ...


class ClipWriter(Generic[NamedClip]):
    """Encodes and stores clips in a thread of its own, so that counting goes on meanwhile.

    Args:
        on_kept: told, in that thread, of each clip that is stored and where.
    """

    def __init__(
        self, store: Keeper[NamedClip], on_kept: Callable[[NamedClip, Path], None] | None = None
    ) -> None:
        self._store, self._on_kept = store, on_kept
        self._waiting: queue.Queue[NamedClip | None] = queue.Queue(maxsize=WAITING_MAX)
        self._thread = threading.Thread(target=self._run, name="clips", daemon=True)
        self.dropped = 0
        """Clips lost because too many came at once, or the disk refused."""

    def start(self) -> None:
        """Begin, by deleting what has grown too old."""
        self._thread.start()

    def put(self, clip: NamedClip) -> None:
        """Hand over a clip; dropped and counted when too many wait."""
        try:
            self._waiting.put_nowait(clip)
        except queue.Full:
            self._lose(clip, "too many at once")

    def close(self, timeout_s: float = 10.0) -> None:
        """Finish what waits and end."""
        self._waiting.put(None)
        self._thread.join(timeout_s)

    def _run(self) -> None:
        try:
            self._store.trim()
        except OSError as e:
            log.warning("old clips cannot be deleted", extra={"reason": str(e)})
        while (clip := self._waiting.get()) is not None:
            try:
                path = self._store.add(clip)
            except OSError as e:
                self._lose(clip, str(e))
                continue
            if self._on_kept is not None:
                self._on_kept(clip, path)

    def _lose(self, clip: NamedClip, reason: str) -> None:
        self.dropped += 1
        log.warning("clip not kept", extra={"clip": clip.name, "reason": reason})


class ClipRing:
    """The last seconds of one camera, masked; cuts a clip around each alert.

    Belongs to the inference loop's thread. While one clip is being gathered, a further alert
    prolongs nothing: it falls into the same clip.
    """

    def __init__(self, spec: EvidenceSpec, put: Callable[[Clip], None]) -> None:
        self._spec, self._put = spec, put
        self._ring: deque[Still] = deque()
        self._wanted: str | None = None
        self._alerts: list[str] = []
        self._ends_at_s = 0.0

    def offer(self, planes: Planes, boxes: NDArray[np.floating], at_s: float) -> None:
        """Keep one inferred frame.

        Args:
            boxes: ``(N, 4)`` xyxy in the frame's pixels: every detection, however unsure.
        """
        if self._ring and at_s < self._ring[-1].at_s:
            self._ring.clear()
        self._ring.append(Still(at_s, _masked_jpeg(planes, boxes)))
        if self._wanted is not None and at_s >= self._ends_at_s:
            self.finish()
        span_s = self._spec.before_s + (self._spec.after_s if self._wanted else 0.0)
        while at_s - self._ring[0].at_s > span_s:
            self._ring.popleft()

    def keep(self, name: str, at_s: float, *, alert: str = "") -> None:
        """Begin a clip around ``at_s``, unless one is being gathered.

        Args:
            alert: identity of the alert that the clip shows.
        """
        if self._wanted is None:
            self._wanted, self._ends_at_s = name, at_s + self._spec.after_s
        if alert:
            self._alerts.append(alert)

    def finish(self) -> None:
        """Hand over the clip that is being gathered, complete or not."""
        if self._wanted is not None and self._ring:
            self._put(Clip(self._wanted, tuple(self._ring), tuple(self._alerts)))
        self._wanted = None
        self._alerts.clear()


def encode(stills: tuple[Still, ...]) -> bytes:
    """Return the stills as one animated WebP at the speed at which they were seen.

    Raises:
        OSError: they cannot be encoded.
    """
    animation = cv2.Animation()
    pictures = [_decoded(still.jpeg) for still in stills]
    size = (pictures[0].shape[1], pictures[0].shape[0])
    # A camera whose picture changed its size in between still makes one clip.
    animation.frames = [p if p.shape[1::-1] == size else cv2.resize(p, size) for p in pictures]
    times_ms = np.array([still.at_s for still in stills]) * 1000
    steps = np.diff(times_ms, append=times_ms[-1] + 100)
    animation.durations = np.clip(steps, 10, 2000).round().astype(int).tolist()
    options = [cv2.IMWRITE_WEBP_QUALITY, WEBP_QUALITY]
    done, content = cv2.imencodeanimation(".webp", animation, options)
    if not done:
        raise OSError("the clip cannot be encoded")
    return content.tobytes()


def _decoded(jpeg: bytes) -> Picture:
    picture = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    if picture is None:
        raise OSError("a frame of the clip cannot be decoded")
    return np.asarray(picture, np.uint8)


def _masked_jpeg(planes: Planes, boxes: NDArray[np.floating]) -> bytes:
    planes, scale = shrunk(planes, WIDTH_PX)
    picture: Picture = picture_of(planes)
    pixelate(picture, np.asarray(boxes, float) * scale)
    return jpeg_of(picture)


def jpeg_of(picture: Picture) -> bytes:
    """Return a picture that is masked already, as a clip keeps it."""
    _, jpeg = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    return jpeg.tobytes()
