"""GStreamer: RTSP, MJPEG over HTTP, USB, CSI and files.

Frames are views of the decoder's own buffers.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from shopfloor_edge.cameras.address import CameraAddress
from shopfloor_edge.cameras.gst import GLib, Gst, GstVideo
from shopfloor_edge.cameras.platform import PLATFORM, PlatformProbe
from shopfloor_edge.cameras.ports import Frame, Planes, SourceFacts, check_size
from shopfloor_edge.cameras.templates import pipeline_for
from shopfloor_edge.cameras.timeline import Timeline
from shopfloor_edge.cameras.uris import Medium, file_of
from shopfloor_edge.errors import (
    SourceEndedError,
    SourceError,
    SourceLostError,
    SourceRefusedError,
    SourceUnusableError,
)

_POLL_MS = 100
_STARTING = threading.Lock()
_UNUSABLE_STREAM_CODES = (
    Gst.StreamError.TYPE_NOT_FOUND,
    Gst.StreamError.WRONG_TYPE,
    Gst.StreamError.CODEC_NOT_FOUND,
)
OnPacket = Callable[[Any, Any], None]
"""Told the caps and the compressed buffer before every decoding; in a thread of GStreamer."""


class GStreamerSource:
    """One pipeline from an address to an appsink.

    Args:
        on_packet: for whoever measures a stream.

    Raises:
        SourceUnusableError: a pipeline for this address cannot be built here.
    """

    def __init__(
        self,
        address: CameraAddress,
        *,
        on_packet: OnPacket | None = None,
        platforms: PlatformProbe = PLATFORM,
    ) -> None:
        # Cameras open in their own threads, and GStreamer's first start is not made for that.
        with _STARTING:
            Gst.init(None)
            choice = platforms.choose()
        self._address, self._medium, self._on_packet = address, address.medium, on_packet
        self._platforms, self._platform = platforms, choice.platform
        self.live = self._medium is not Medium.FILE
        self.video_bytes = 0
        self._number, self._timeline = 0, Timeline()
        self._decoder, self._fallback = "", choice.fallback
        self._lacks_video = False
        self._caps: Any = None
        self._handlers: list[tuple[Any, int]] = []
        self._probes: list[tuple[Any, int]] = []
        try:
            self._pipeline = Gst.parse_launch(pipeline_for(address, choice.platform))
        except GLib.Error as e:
            raise SourceUnusableError(f"GStreamer: {e.message}") from e
        self._aim(self._pipeline.get_by_name("source"))
        self._sink = self._pipeline.get_by_name("sink")
        self._bus = self._pipeline.get_bus()
        self._connect(self._pipeline, "deep-element-added", self._on_element)
        self._pipeline.set_state(Gst.State.PLAYING)

    @property
    def facts(self) -> SourceFacts:
        """See ``FrameSource``."""
        return SourceFacts(self._decoder, self._fallback, self._timeline.jumps)

    def read(self, timeout_s: float) -> Frame | None:
        """Return the next frame; see ``FrameSource``."""
        deadline_s = time.monotonic() + timeout_s
        while True:
            sample = self._sink.try_pull_sample(_POLL_MS * Gst.MSECOND)
            if sample is not None:
                return self._frame(sample)
            self._raise_from_bus()
            if self._sink.is_eos():
                raise SourceEndedError(f"{self._address.name}: end of stream")
            if time.monotonic() >= deadline_s:
                return None

    def close(self) -> None:
        """Stop the pipeline, wait until its threads are gone, and let it go.

        Signals and probes hold us from C, where Python's collector does not look: without this a
        pipeline and its descriptors would stay for ever.
        """
        self._pipeline.set_state(Gst.State.NULL)
        while self._handlers:
            instance, number = self._handlers.pop()
            instance.disconnect(number)
        while self._probes:
            pad, number = self._probes.pop()
            pad.remove_probe(number)

    def _connect(self, instance: Any, signal: str, on_signal: Callable[..., None]) -> None:
        self._handlers.append((instance, instance.connect(signal, on_signal)))

    def _count_at(self, pad: Any) -> None:
        self._probes.append((pad, pad.add_probe(Gst.PadProbeType.BUFFER, self._count)))

    def _aim(self, source: Any) -> None:
        """Say where and as whom; not in the pipeline's text, which messages quote."""
        address = self._address
        if self._medium is Medium.RTSP:
            self._connect(source, "no-more-pads", self._on_all_streams)
            # From RTCP's sender reports: the camera's own clock, for whoever measures.
            if self._on_packet is not None:
                source.set_property("add-reference-timestamp-meta", 1)
        if address.host_and_port is not None and address.username:
            source.set_property("user-id", address.username)
            source.set_property("user-pw", address.password)
        if self._medium is Medium.USB:
            source.set_property("device", address.uri)
            self._count_at(source.get_static_pad("src"))
        elif self._medium is Medium.FILE:
            source.set_property("location", str(file_of(address.uri)))
        elif self._medium is not Medium.CSI:
            source.set_property("location", address.uri)

    def _frame(self, sample: Any) -> Frame:
        caps = sample.get_caps()
        # A stream may change its size while frames of the old one still wait in the sink: what
        # counts is the frame's own caps, not what the pad says last.
        if self._caps is None or not caps.is_equal(self._caps):
            self._caps, self._info = caps, _info_of(caps)
        info = self._info
        at_s = time.monotonic()
        if not self.live:
            pts = sample.get_buffer().pts
            at_s = self._timeline.at(pts / Gst.SECOND if pts != Gst.CLOCK_TIME_NONE else None)
        frame = Frame(self._number, at_s, (info.width, info.height), partial(_mapped, sample, info))
        self._number += 1
        return frame

    def _raise_from_bus(self) -> None:
        if self._lacks_video:
            raise SourceUnusableError(f"{self._address.name}: no video in the stream")
        message = self._bus.pop_filtered(Gst.MessageType.ERROR)
        if message is not None:
            error, _ = message.parse_error()
            if self._number == 0 and self._platforms.blame(self._platform, _factory(message.src)):
                raise SourceLostError(f"{self._platform.name} gave up: {error.message}")
            raise self._translate(error)

    def _translate(self, error: Any) -> SourceError:
        text = f"{self._address.name}: {self._address.scrub(error.message.rstrip('.'))}"
        resource, stream = Gst.ResourceError.quark(), Gst.StreamError.quark()
        # An RTSP source says NOT_AUTHORIZED, an HTTP source only repeats the status line.
        if error.matches(resource, Gst.ResourceError.NOT_AUTHORIZED) or text.endswith(
            ("Unauthorized", "Forbidden")
        ):
            return SourceRefusedError(f"{self._address.name}: user or password refused")
        unusable = any(error.matches(stream, code) for code in _UNUSABLE_STREAM_CODES)
        if self._medium is Medium.FILE and error.matches(stream, Gst.StreamError.FAILED):
            # A file's sound finds nobody to play it, and the demultiplexer gives up.
            text += "; no video in it" if not self._number and not self._decoder else ""
        if self._medium is Medium.FILE or unusable:
            return SourceUnusableError(text)
        return SourceLostError(text)

    def _on_all_streams(self, source: Any) -> None:
        caps = [pad.get_current_caps() or pad.query_caps(None) for pad in source.srcpads]
        self._lacks_video = not any("video" in found.to_string() for found in caps)

    def _on_element(self, _bin: Any, _sub: Any, element: Any) -> None:
        factory = element.get_factory()
        if factory is None or not factory.list_is_type(Gst.ELEMENT_FACTORY_TYPE_DECODER):
            return
        # One thread per camera: the scheduler shares the cores among cameras.
        if element.find_property("max-threads") is not None:
            element.set_property("max-threads", 1)
        # A half-decoded picture has people where there are none: rather a hole in the coverage.
        if element.find_property("output-corrupt") is not None:
            element.set_property("output-corrupt", 0)
        pad = element.get_static_pad("sink")
        # MJPEG decoders call themselves image decoders; audio is no video.
        if pad is not None and "Audio" not in factory.get_klass():
            self._count_at(pad)
            self._note_decoder(factory.get_name())

    def _note_decoder(self, name: str) -> None:
        self._decoder = name
        wanted = self._platform.decoders
        if wanted and name not in wanted:
            self._fallback = f"{name} decodes: {self._platform.name} does not read this stream"

    def _count(self, pad: Any, probe: Any) -> Any:
        buffer = probe.get_buffer()
        self.video_bytes += buffer.get_size()
        if self._on_packet is not None:
            self._on_packet(pad.get_current_caps(), buffer)
        return Gst.PadProbeReturn.OK


def _factory(element: Any) -> str:
    factory = element.get_factory() if isinstance(element, Gst.Element) else None
    return "" if factory is None else str(factory.get_name())


@dataclass(frozen=True, slots=True)
class _Info:
    """How frames lie in memory. Read once per size: each look into GStreamer's structure costs."""

    width: int
    height: int
    offsets: tuple[int, ...]
    strides: tuple[int, ...]


def _info_of(caps: Any) -> _Info:
    info = GstVideo.VideoInfo.new_from_caps(caps)
    check_size(info.width, info.height)
    return _Info(info.width, info.height, tuple(info.offset), tuple(info.stride))


@contextlib.contextmanager
def _mapped(sample: Any, info: _Info) -> Iterator[Planes]:
    """Give the planes as views; they must not be used after the block."""
    buffer = sample.get_buffer()
    meta = GstVideo.buffer_get_video_meta(buffer)
    offsets, strides = (info.offsets, info.strides) if meta is None else (meta.offset, meta.stride)
    width, height = info.width, info.height
    half = ((height + 1) // 2, (width + 1) // 2)
    with buffer.map(Gst.MapFlags.READ) as mapped:
        y, u, v = (
            np.ndarray(shape, np.uint8, mapped.data, offset, (stride, 1))
            for offset, stride, shape in zip(
                offsets, strides, ((height, width), half, half), strict=False
            )
        )
        yield y, u, v
