"""The picture that belongs to a trigger."""

from __future__ import annotations

import re
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from shopfloor_edge.cameras.ports import Frame, FrameSource
from shopfloor_edge.errors import SourceError
from shopfloor_edge.inspection.arrivals import Trigger, TriggerQueue
from shopfloor_edge.inspection.ports import Grey

SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff"}
MAX_FILE_BYTES = 64_000_000
POLL_S = 0.005
REOPEN_S = 1.0
LOOK_S = 0.02
KEPT_FRAMES = 8
"""Of a live camera: a quarter of a second at 30 a second, for a station that is busy."""
_FULL_RANGE = np.clip((np.arange(256) - 16) * 255 / 219, 0, 255).round().astype(np.uint8)
_NUMBERED = re.compile(r"^(.*?)(\d{1,15})$")


class PartCamera(Protocol):
    """Takes the picture of a part."""

    def take(self, trigger: Trigger, timeout_s: float) -> Grey | None:
        """Return the picture of the part that ``trigger`` told of, or None when none comes."""

    def close(self) -> None:
        """Release everything."""


def read_grey(path: Path) -> Grey | None:
    """Read a picture as grey; None for a file that is absent, too large, or no picture (yet)."""
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            return None
        content = np.frombuffer(path.read_bytes(), np.uint8)
        if content.size == 0:
            return None
        picture = cv2.imdecode(content, cv2.IMREAD_GRAYSCALE)
    except (OSError, cv2.error):
        return None
    return None if picture is None else np.asarray(picture, np.uint8)


class FolderCamera:
    """Pictures that a camera of its own puts into a folder, as over FTP or SMB."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def take(self, trigger: Trigger, timeout_s: float) -> Grey | None:
        """Wait for the file that the trigger names."""
        if trigger.picture is None:
            return None
        deadline_s = time.monotonic() + timeout_s
        # A name with a folder in it would lead out of ours.
        path = self._folder / Path(trigger.picture).name
        while (picture := read_grey(path)) is None and time.monotonic() < deadline_s:
            time.sleep(POLL_S)
        return picture

    def close(self) -> None:
        """Nothing is held."""


class FolderWatch:
    """Every new file is a part. ``board-a-0017.png`` is number 17 of the run ``board-a-``."""

    def __init__(self, folder: Path, queue: TriggerQueue) -> None:
        self._folder, self._queue = folder, queue
        self._seen: set[str] = set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="folder-watch", daemon=True)

    def start(self) -> None:
        """Watch in the background."""
        self._thread.start()

    def close(self) -> None:
        """Stop watching."""
        self._stop.set()
        self._thread.join(1.0)

    def _run(self) -> None:
        rest_s = LOOK_S
        while not self._stop.wait(rest_s):
            started_s = time.monotonic()
            self._look()
            # A folder that nobody empties must not cost a core.
            rest_s = max(LOOK_S, 5 * (time.monotonic() - started_s))

    def _look(self) -> None:
        try:
            names = {p.name for p in self._folder.iterdir() if p.suffix.lower() in SUFFIXES}
        except OSError:
            return
        self._seen &= names
        for name in sorted(names - self._seen, key=_order):
            # Files wait by themselves: none is dropped because others came first.
            while not self._queue.has_room and not self._stop.is_set():
                self._stop.wait(LOOK_S)
            self._seen.add(name)
            run, number = _order(name)
            self._queue.put(
                Trigger(time.monotonic(), number if number >= 0 else None, run, picture=name)
            )


def _order(name: str) -> tuple[str, int]:
    found = _NUMBERED.match(Path(name).stem)
    return (found[1][:64], int(found[2])) if found else (Path(name).stem[:64], -1)


class LiveCamera:
    """The first frame after the trigger, of a camera that runs on its own."""

    def __init__(self, opener: Callable[[], FrameSource]) -> None:
        self._opener = opener
        self._frames: deque[tuple[float, Grey]] = deque(maxlen=KEPT_FRAMES)
        self._forgotten_at_s = -1.0
        self._changed = threading.Condition()
        self._stop = threading.Event()
        self._listeners: list[Callable[[float, Grey], None]] = []
        self.reason = ""
        """Why there are no frames; empty while there are."""
        self._thread = threading.Thread(target=self._run, name="camera", daemon=True)

    def listen(self, listener: Callable[[float, Grey], None]) -> None:
        """Hand every frame to ``listener`` too; before ``start``."""
        self._listeners.append(listener)

    def start(self) -> None:
        """Read in the background; a camera that is lost is opened again."""
        self._thread.start()

    def take(self, trigger: Trigger, timeout_s: float) -> Grey | None:
        """Return the first frame that was taken at the trigger or later; never one after it."""

        def there() -> bool:
            return bool(self._frames) and self._frames[-1][0] >= trigger.at_s

        with self._changed:
            if not self._changed.wait_for(there, timeout_s):
                return None
            if self._forgotten_at_s >= trigger.at_s:
                return None
            return next(grey for at_s, grey in self._frames if at_s >= trigger.at_s)

    def close(self) -> None:
        """Stop reading."""
        self._stop.set()
        self._thread.join(5.0)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                source = self._opener()
                try:
                    self._pump(source)
                finally:
                    source.close()
            except SourceError as e:
                self.reason = str(e)
                self._stop.wait(REOPEN_S)

    def _pump(self, source: FrameSource) -> None:
        while not self._stop.is_set():
            frame = source.read(0.2)
            if frame is not None:
                self._publish(frame, source)

    def _publish(self, frame: Frame, source: FrameSource) -> None:
        with frame.planes() as (luma, _, _):
            grey: Grey = np.asarray(cv2.LUT(luma, _FULL_RANGE), np.uint8)
        # A file has times of its own; a part is looked at now.
        at_s = frame.at_s if source.live else time.monotonic()
        with self._changed:
            if len(self._frames) == KEPT_FRAMES:
                self._forgotten_at_s = self._frames[0][0]
            self._frames.append((at_s, grey))
            self.reason = ""
            self._changed.notify_all()
        for listener in self._listeners:
            listener(at_s, grey)
