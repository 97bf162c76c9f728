"""PyAV: files and RTSP on machines without GStreamer."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from functools import partial

import av
import numpy as np
from av.video.plane import VideoPlane

from shopfloor_edge.cameras.ports import Frame, Plane, Planes
from shopfloor_edge.cameras.uris import Medium, file_of, medium_of, redact
from shopfloor_edge.errors import SourceEndedError, SourceLostError, SourceUnusableError

_OPEN_TIMEOUT_S = 10.0
_READ_TIMEOUT_S = 3.0


class PyAvSource:
    """One container, decoded in the calling thread; a live stream is decoded whole."""

    def __init__(self, uri: str) -> None:
        self._name = redact(uri)
        medium = medium_of(uri)
        self.live = medium is not Medium.FILE
        self.video_bytes = 0
        self._number = 0
        options = {"rtsp_transport": "tcp"} if medium is Medium.RTSP else {}
        location = uri if self.live else str(file_of(uri))
        try:
            self._container = av.open(
                location, options=options, timeout=(_OPEN_TIMEOUT_S, _READ_TIMEOUT_S)
            )
            self._stream = self._container.streams.video[0]
        except IndexError as e:
            raise SourceUnusableError(f"{self._name}: no video in it") from e
        except (av.error.FFmpegError, OSError, ValueError) as e:
            lost = SourceLostError if self.live else SourceUnusableError
            raise lost(f"{self._name}: {getattr(e, 'strerror', None) or e}") from e
        self._stream.thread_count = 1
        self._frames = self._decode()

    def read(self, timeout_s: float) -> Frame | None:  # noqa: ARG002 — FFmpeg has its own limit
        """Return the next frame; see ``FrameSource``."""
        try:
            picture = next(self._frames)
        except StopIteration:
            raise SourceEndedError(f"{self._name}: end of stream") from None
        except (av.error.FFmpegError, OSError) as e:
            lost = SourceLostError if self.live else SourceUnusableError
            raise lost(f"{self._name}: {getattr(e, 'strerror', None) or e}") from e
        at_s = time.monotonic() if self.live else float(picture.time or 0.0)
        frame = Frame(
            self._number, at_s, (picture.width, picture.height), partial(_planes, picture)
        )
        self._number += 1
        return frame

    def close(self) -> None:
        """Close the container."""
        self._container.close()

    def _decode(self) -> Iterator[av.VideoFrame]:
        for packet in self._container.demux(self._stream):
            self.video_bytes += packet.size
            yield from packet.decode()


@contextlib.contextmanager
def _planes(picture: av.VideoFrame) -> Iterator[Planes]:
    converted = picture.reformat(format="yuv420p")
    y, u, v = (_view(plane) for plane in converted.planes)
    yield y, u, v


def _view(plane: VideoPlane) -> Plane:
    """Return the pixels of a plane without the padding of its rows."""
    rows = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)
    return rows[:, : plane.width]
