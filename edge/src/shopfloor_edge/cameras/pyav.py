"""PyAV: files and RTSP on machines without GStreamer."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from functools import partial
from urllib.parse import quote

import av
import numpy as np
from av.video.plane import VideoPlane

from shopfloor_edge.cameras.address import CameraAddress
from shopfloor_edge.cameras.ports import Frame, Plane, Planes, SourceFacts, check_size
from shopfloor_edge.cameras.timeline import Timeline
from shopfloor_edge.cameras.uris import Medium, file_of
from shopfloor_edge.errors import (
    SourceEndedError,
    SourceLostError,
    SourceRefusedError,
    SourceUnusableError,
)

_OPEN_TIMEOUT_S = 10.0
_READ_TIMEOUT_S = 3.0


class PyAvSource:
    """One container, decoded in the calling thread; a live stream is decoded whole."""

    def __init__(self, address: CameraAddress) -> None:
        self._name = address.name
        self.live = address.medium is not Medium.FILE
        self.video_bytes = 0
        self._number = 0
        self._timeline = Timeline()
        rtsp = address.medium is Medium.RTSP
        options: dict[str, str] = {"rtsp_transport": address.transport} if rtsp else {}
        location = _location(address)
        try:
            self._container = av.open(
                location, options=options, timeout=(_OPEN_TIMEOUT_S, _READ_TIMEOUT_S)
            )
            self._stream = self._container.streams.video[0]
        except av.error.HTTPUnauthorizedError as e:
            raise SourceRefusedError(f"{self._name}: user or password refused") from e
        except IndexError as e:
            raise SourceUnusableError(f"{self._name}: no video in it") from e
        except (av.error.FFmpegError, OSError, ValueError) as e:
            lost = SourceLostError if self.live else SourceUnusableError
            reason = address.scrub(str(getattr(e, "strerror", None) or e))
            raise lost(f"{self._name}: {reason}") from e
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
        check_size(picture.width, picture.height)
        at_s = time.monotonic() if self.live else self._timeline.at(picture.time)
        frame = Frame(
            self._number, at_s, (picture.width, picture.height), partial(_planes, picture)
        )
        self._number += 1
        return frame

    @property
    def facts(self) -> SourceFacts:
        """See ``FrameSource``."""
        return SourceFacts(decoder=self._stream.codec_context.name, time_jumps=self._timeline.jumps)

    def close(self) -> None:
        """Close the container."""
        self._container.close()

    def _decode(self) -> Iterator[av.VideoFrame]:
        for packet in self._container.demux(self._stream):
            self.video_bytes += packet.size
            yield from packet.decode()


def _location(address: CameraAddress) -> str:
    if address.medium is Medium.FILE:
        return str(file_of(address.uri))
    if not address.username:
        return address.uri
    log_in = f"{quote(address.username, safe='')}:{quote(address.password, safe='')}"
    scheme, _, rest = address.uri.partition("://")
    return f"{scheme}://{log_in}@{rest}"


@contextlib.contextmanager
def _planes(picture: av.VideoFrame) -> Iterator[Planes]:
    converted = picture.reformat(format="yuv420p")
    y, u, v = (_view(plane) for plane in converted.planes)
    yield y, u, v


def _view(plane: VideoPlane) -> Plane:
    """Return the pixels of a plane without the padding of its rows."""
    rows = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)
    return rows[:, : plane.width]
