"""What a source of frames is."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from shopfloor_edge.errors import SourceUnusableError

MAX_PIXELS = 4096 * 3072
"""12.6 megapixels, a 12-megapixel fisheye camera. Software decoding costs about 4 ms of a core per
megapixel: what is larger starves the other cameras, and shows no more people."""

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


def check_size(width: int, height: int) -> None:
    """Refuse a picture that is too large to be worth its decoding.

    Raises:
        SourceUnusableError: it is larger than ``MAX_PIXELS``.
    """
    if width * height > MAX_PIXELS:
        raise SourceUnusableError(
            f"picture is {width} x {height} ({width * height / 1e6:.1f} megapixels), at most "
            f"{MAX_PIXELS / 1e6:.1f} are read: use the camera's smaller stream"
        )


@dataclass(frozen=True, slots=True)
class SourceFacts:
    """What a source knows about itself beside its frames."""

    decoder: str = ""
    """Name of the decoder, empty until it is known."""
    fallback: str = ""
    """Why a slower decoder than the platform's is used; empty when none is."""
    time_jumps: int = 0
    """Times of a file that did not go forward, and were mended."""


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

    @property
    def facts(self) -> SourceFacts:
        """What is known by now."""
        ...

    def read(self, timeout_s: float) -> Frame | None:
        """Return the next frame, or None when none came in time."""
        ...

    def close(self) -> None:
        """Release everything; may be called twice."""
        ...
