"""Where people walked in the last minutes, as numbers: what a new line or zone is tried on.

``tracks/CAMERA/MINUTE.jsonl`` in the state folder: a header with the picture's size, then a line
per inferred frame, ``[seconds since the epoch, [[track, x, y], …]]``, foot points as shares of the
picture. Files are of a minute each and the oldest go, so that nothing older than ``KEEP_S`` is
there. Never sent.
"""

from __future__ import annotations

import json
import logging
from io import TextIOWrapper
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

log = logging.getLogger(__name__)

FOLDER = "tracks"
KEEP_S = 15 * 60.0
FILE_S = 60.0
FILE_BYTES_MAX = 2_000_000
"""A crowd at 25 frames a second fills that in a minute; the rest of its minute is left out."""
FLUSH_S = 2.0
QUIET_S = 1.0
"""Between lines while nobody is there."""


class Footsteps:
    """One camera's recorder. Never raises: a full disk must not stop the counting."""

    def __init__(self, state: Path, camera: str) -> None:
        self._folder = state / FOLDER / camera
        self._file: TextIOWrapper | None = None
        self._minute, self._bytes, self._flushed_s = -1, 0, 0.0
        self._quiet, self._noted_s = False, 0.0

    def add(
        self,
        ids: NDArray[np.int64],
        points: NDArray[np.floating],
        *,
        size: tuple[int, int],
        at_s: float,
    ) -> None:
        """Note one frame's tracks.

        Args:
            ids: ``(T,)`` track numbers.
            points: ``(T, 2)`` foot points in pixels.
            size: width and height of the frame in pixels.
            at_s: seconds since the epoch.
        """
        quiet, self._quiet = self._quiet and not len(ids), not len(ids)
        if quiet and 0 <= at_s - self._noted_s < QUIET_S:
            return
        self._noted_s = at_s
        shares = (np.asarray(points, float).reshape(-1, 2) / size).round(4).tolist()
        people = [[track, *share] for track, share in zip(ids.tolist(), shares, strict=True)]
        try:
            self._write(json.dumps([round(at_s, 3), people]) + "\n", size, at_s)
        except OSError as e:
            log.debug("footsteps not written", extra={"reason": str(e)})
            self.close()

    def close(self) -> None:
        """Close the file; the next frame opens another."""
        file, self._file, self._minute = self._file, None, -1
        if file is not None:
            try:
                file.close()
            except OSError as e:
                log.debug("footsteps not written", extra={"reason": str(e)})

    def _write(self, line: str, size: tuple[int, int], at_s: float) -> None:
        minute = int(at_s // FILE_S)
        if minute != self._minute or self._file is None:
            self._open(minute, size, at_s)
        if self._file is None or self._bytes + len(line) > FILE_BYTES_MAX:
            return
        self._file.write(line)
        self._bytes += len(line)
        if abs(at_s - self._flushed_s) >= FLUSH_S:
            self._file.flush()
            self._flushed_s = at_s

    def _open(self, minute: int, size: tuple[int, int], at_s: float) -> None:
        self.close()
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = self._folder / f"{minute:012d}.jsonl"
        self._file = path.open("a", encoding="ascii")
        self._minute, self._bytes = minute, path.stat().st_size
        header = json.dumps({"size": list(size)}) + "\n"
        self._file.write(header)
        self._bytes += len(header)
        oldest = int((at_s - KEEP_S) // FILE_S)
        for old in self._folder.glob("*.jsonl"):
            # A clock that was set back leaves files of the future: they go too.
            if old.stem.isdigit() and not oldest <= int(old.stem) <= minute:
                old.unlink()
