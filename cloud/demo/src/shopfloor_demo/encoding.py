"""A video file into H.264 as a good CCTV camera sends it, and H.264 into access units."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

from shopfloor_demo.errors import ConversionError
from shopfloor_demo.gst import Gst

Codec = Literal["h264", "h265"]
FPS = 10
QUANTIZER = 23
"""x264's own default rate factor: about 1 Mbit/s for this clip, what camera makers advise for
4CIF at 10 fps. A better picture would make the video larger and our uplink look smaller."""
KEY_FRAME_EVERY = 20
"""Two seconds: within that a client that connects late has a picture."""

_ENCODE = (
    "filesrc name=source ! decodebin ! videoconvert ! video/x-raw,format=I420 "
    f"! x264enc pass=qual quantizer={QUANTIZER} bframes=0 key-int-max={KEY_FRAME_EVERY} "
    "! video/x-h264,profile=main ! h264parse config-interval=-1 "
    "! video/x-h264,stream-format=byte-stream,alignment=au "
    "! appsink name=sink sync=false max-buffers=16"
)
_PARSE = (
    "filesrc name=source ! parsebin ! {codec}parse config-interval=-1 "
    "! video/x-{codec},stream-format=byte-stream,alignment=au "
    "! appsink name=sink sync=false max-buffers=16"
)
_DECODE = (
    "filesrc name=source ! parsebin ! h264parse ! avdec_h264 "
    "! appsink name=sink sync=false max-buffers=4"
)
_STALL_NS = 20_000_000_000


def encode(source: Path, target: Path, *, progress: Callable[[int], None]) -> int:
    """Write ``source`` as an H.264 byte stream and return how many frames it has.

    ``progress`` hears the number of frames written so far. ``target`` appears complete or
    not at all.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.{os.getpid()}")
    frames = 0
    try:
        with partial.open("wb") as file:
            for unit in _samples(_ENCODE, source):
                file.write(unit)
                frames += 1
                progress(frames)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
    return frames


def access_units(path: Path, codec: Codec = "h264") -> list[bytes]:
    """Return the file's frames as access units, each in byte-stream form."""
    return list(_samples(_PARSE.format(codec=codec), path))


def count_decoded(path: Path) -> int:
    """Return how many pictures a decoder makes of ``path``."""
    return sum(1 for _ in _samples(_DECODE, path))


def _samples(description: str, source: Path) -> Iterator[bytes]:
    """Yield what arrives at the pipeline's ``sink``.

    Raises:
        ConversionError: GStreamer stopped before the end of the file.
    """
    Gst.init(None)
    pipeline = Gst.parse_launch(description)
    pipeline.get_by_name("source").set_property("location", str(source))
    sink = pipeline.get_by_name("sink")
    try:
        pipeline.set_state(Gst.State.PLAYING)
        while (sample := sink.emit("try-pull-sample", _STALL_NS)) is not None:
            buffer = sample.get_buffer()
            yield buffer.extract_dup(0, buffer.get_size())
        if not sink.get_property("eos"):
            raise ConversionError(f"{source}: {_reason(pipeline)}")
    finally:
        pipeline.set_state(Gst.State.NULL)


def _reason(pipeline: Gst.Pipeline) -> str:
    message = pipeline.get_bus().pop_filtered(Gst.MessageType.ERROR)
    if message is None:
        return "stalled"
    error, _ = message.parse_error()
    return str(error.message)
