"""What a source of frames is."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.uint8]
Planes = tuple[Plane, Plane, Plane]
"""I420: Y ``(H, W)``, U and V ``(ceil(H/2), ceil(W/2))``, limited range."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One decoded picture. The pixels are borrowed: only valid inside ``with frame.planes()``."""

    number: int
    """Since the source was opened, from 0; frames shed by a live source count too."""
    at_s: float
    """Live: ``time.monotonic()`` of arrival. File: presentation time from the file's start."""
    size: tuple[int, int]
    """Width and height in pixels."""
    planes: Callable[[], AbstractContextManager[Planes]]


class FrameSource(Protocol):
    """An opened camera or file. Used by one thread; raises the ``SourceError`` family."""

    @property
    def live(self) -> bool:
        """Whether frames come at their own pace; if not, every frame is read."""
        ...

    @property
    def video_bytes(self) -> int:
        """Compressed bytes received since the source was opened."""
        ...

    def read(self, timeout_s: float) -> Frame | None:
        """Return the next frame, or None when none came in time."""
        ...

    def close(self) -> None:
        """Release everything; may be called twice."""
        ...
