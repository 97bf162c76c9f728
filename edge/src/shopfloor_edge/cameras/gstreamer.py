"""GStreamer: RTSP, USB and files. Frames are views of the decoder's own buffers."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import gi
import numpy as np

gi.require_version("Gst", "1.0")
gi.require_version("GstApp", "1.0")
gi.require_version("GstVideo", "1.0")
from gi.repository import Gst, GstApp, GstVideo  # noqa: E402, F401 — GstApp adds appsink's methods

from shopfloor_edge.cameras.ports import Frame, Planes  # noqa: E402
from shopfloor_edge.cameras.templates import pipeline_for  # noqa: E402
from shopfloor_edge.cameras.uris import Medium, medium_of, redact  # noqa: E402
from shopfloor_edge.errors import (  # noqa: E402
    SourceEndedError,
    SourceError,
    SourceLostError,
    SourceUnusableError,
)

_POLL_MS = 100
_STARTING = threading.Lock()
_UNUSABLE_STREAM_CODES = (
    Gst.StreamError.TYPE_NOT_FOUND,
    Gst.StreamError.WRONG_TYPE,
    Gst.StreamError.CODEC_NOT_FOUND,
)


class GStreamerSource:
    """One pipeline from a URI to an appsink.

    Raises:
        SourceUnusableError: a pipeline for this URI cannot be built here.
    """

    def __init__(self, uri: str) -> None:
        # Cameras open in their own threads, and GStreamer's first start is not made for that.
        with _STARTING:
            Gst.init(None)
        self._uri = uri
        self._medium = medium_of(uri)
        self.live = self._medium is not Medium.FILE
        self.video_bytes = 0
        self._number = 0
        try:
            self._pipeline = Gst.parse_launch(pipeline_for(self._medium))
        except gi.repository.GLib.Error as e:
            raise SourceUnusableError(f"GStreamer: {e.message}") from e
        source = self._pipeline.get_by_name("source")
        source.set_property("location" if self._medium is not Medium.USB else "device", uri)
        if self._medium is Medium.USB:
            source.get_static_pad("src").add_probe(Gst.PadProbeType.BUFFER, self._count)
        self._sink = self._pipeline.get_by_name("sink")
        self._bus = self._pipeline.get_bus()
        self._pipeline.connect("deep-element-added", self._on_element)
        self._pipeline.set_state(Gst.State.PLAYING)

    def read(self, timeout_s: float) -> Frame | None:
        """Return the next frame; see ``FrameSource``."""
        deadline_s = time.monotonic() + timeout_s
        while True:
            sample = self._sink.try_pull_sample(_POLL_MS * Gst.MSECOND)
            if sample is not None:
                return self._frame(sample)
            self._raise_from_bus()
            if self._sink.is_eos():
                raise SourceEndedError(f"{redact(self._uri)}: end of stream")
            if time.monotonic() >= deadline_s:
                return None

    def close(self) -> None:
        """Stop the pipeline and wait until its threads are gone."""
        self._pipeline.set_state(Gst.State.NULL)

    def _frame(self, sample: Any) -> Frame:
        info = GstVideo.VideoInfo.new_from_caps(sample.get_caps())
        buffer = sample.get_buffer()
        at_s = time.monotonic() if self.live else buffer.pts / Gst.SECOND
        frame = Frame(self._number, at_s, (info.width, info.height), partial(_mapped, sample, info))
        self._number += 1
        return frame

    def _raise_from_bus(self) -> None:
        message = self._bus.pop_filtered(Gst.MessageType.ERROR)
        if message is not None:
            error, _ = message.parse_error()
            raise self._translate(error)

    def _translate(self, error: Any) -> SourceError:
        text = f"{redact(self._uri)}: {error.message.rstrip('.').replace(self._uri, '…')}"
        if error.matches(Gst.ResourceError.quark(), Gst.ResourceError.NOT_AUTHORIZED):
            return SourceUnusableError(f"{text} (user or password refused)")
        stream = Gst.StreamError.quark()
        unusable = any(error.matches(stream, code) for code in _UNUSABLE_STREAM_CODES)
        if self._medium is Medium.FILE or unusable:
            return SourceUnusableError(text)
        return SourceLostError(text)

    def _on_element(self, _bin: Any, _sub: Any, element: Any) -> None:
        factory = element.get_factory()
        if factory is None or not factory.list_is_type(Gst.ELEMENT_FACTORY_TYPE_DECODER):
            return
        # One thread per camera: the scheduler shares the cores among cameras.
        if element.find_property("max-threads") is not None:
            element.set_property("max-threads", 1)
        pad = element.get_static_pad("sink")
        # MJPEG decoders call themselves image decoders; audio is no video.
        if pad is not None and "Audio" not in factory.get_klass():
            pad.add_probe(Gst.PadProbeType.BUFFER, self._count)

    def _count(self, _pad: Any, probe: Any) -> Any:
        self.video_bytes += probe.get_buffer().get_size()
        return Gst.PadProbeReturn.OK


@contextlib.contextmanager
def _mapped(sample: Any, info: Any) -> Iterator[Planes]:
    """Give the planes as views; they must not be used after the block."""
    buffer = sample.get_buffer()
    meta = GstVideo.buffer_get_video_meta(buffer)
    layout = meta if meta is not None else info
    offsets, strides = layout.offset, layout.stride
    height, width = info.height, info.width
    shapes = [(height, width), *[((height + 1) // 2, (width + 1) // 2)] * 2]
    with buffer.map(Gst.MapFlags.READ) as mapped:
        data = np.frombuffer(mapped.data, np.uint8)
        y, u, v = (
            np.lib.stride_tricks.as_strided(data[offset:], shape, (stride, 1), writeable=False)
            for offset, stride, shape in zip(offsets, strides, shapes, strict=False)
        )
        yield y, u, v
