"""Look at one camera for some seconds and measure what it sends and what that costs here."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from shopfloor_edge.cameras.address import CameraAddress
from shopfloor_edge.cameras.choose import open_address
from shopfloor_edge.cameras.ports import Frame, FrameSource, SourceFacts
from shopfloor_edge.errors import SourceEndedError, SourceLostError

FIRST_FRAME_S = 10.0
NTP_TO_UNIX_S = 2_208_988_800
"""From 1900, where NTP begins, to 1970 (RFC 5905 §6)."""
LATENCY_S = 0.1
"""What the pipeline's jitter buffer holds back; see the RTSP template."""
MAX_PACKETS = 100_000
"""Ten minutes at 160 frames a second."""


@dataclass(frozen=True, slots=True)
class StreamFacts:
    """What was seen. None is unknown."""

    codec: str
    profile: str | None
    width_px: int
    height_px: int
    fps: float
    """Measured."""
    announced_fps: float | None
    key_frame_interval_s: float | None
    """Mean; None when fewer than two key frames came, or came without a time."""
    key_frames: int
    bitrate_kbps: float
    decoder: str
    fallback: str
    decode_ms: float
    """Processor time per frame of everything from socket to picture."""
    decode_cores: float
    """Cores that this takes at the measured rate."""
    clock_offset_s: float | None
    """Camera's clock minus ours, within about 0.2 s; from RTCP sender reports."""
    watched_s: float


@dataclass(slots=True)
class PacketNotes:
    """Filled by a thread of GStreamer while frames are read by ours."""

    codec: str = ""
    profile: str | None = None
    announced_fps: float | None = None
    key_frames: int = 0
    key_times_s: list[float] = field(default_factory=list)
    offsets_s: list[float] = field(default_factory=list)
    packets: int = 0

    def __call__(self, caps: Any, buffer: Any) -> None:
        """Note one compressed frame before it is decoded."""
        self.packets += 1
        if self.packets > MAX_PACKETS:
            return
        if not self.codec and caps is not None:
            self._describe(caps.get_structure(0))
        # GST_BUFFER_FLAG_DELTA_UNIT: not decodable by itself. A presentation time is absent when
        # all of its 64 bits are set.
        if not buffer.mini_object.flags & _DELTA_UNIT:
            self.key_frames += 1
            if buffer.pts < 2**63:
                self.key_times_s.append(buffer.pts / 1e9)
        reference = buffer.get_reference_timestamp_meta(None)
        if reference is not None and "ntp" in reference.reference.to_string():
            camera_s = reference.timestamp / 1e9 - NTP_TO_UNIX_S
            self.offsets_s.append(camera_s - (time.time() - LATENCY_S))

    def _describe(self, structure: Any) -> None:
        self.codec = structure.get_name()
        self.profile = structure.get_string("profile")
        found, above, below = structure.get_fraction("framerate")
        self.announced_fps = above / below if found and above and below else None


_DELTA_UNIT = 1 << 13


def survey(address: CameraAddress, *, seconds: float) -> tuple[StreamFacts, Frame]:
    """Return what was measured, and the newest frame.

    Raises:
        SourceError: it cannot be opened, or gives no frame.
    """
    notes = PacketNotes()
    source = open_address(address, on_packet=notes)
    try:
        _first_frame(source, address)
        watch = _Watch(source)
        frame = watch.run(seconds, address)
        return watch.facts(frame, notes, source.facts), frame
    finally:
        source.close()


class _Watch:
    """From the second frame on: opening and the first key frame are no part of the cost."""

    def __init__(self, source: FrameSource) -> None:
        self._source = source
        self._frames = 0
        self._bytes_before = source.video_bytes
        self._begun_s, self._cpu_before_s = time.monotonic(), time.process_time()
        self._lasted_s, self._cpu_s, self._received = 0.0, 0.0, 0
        self._played_s: list[float] = []

    def run(self, seconds: float, address: CameraAddress) -> Frame:
        """Read for so long, or to a file's end; return the last frame."""
        last: Frame | None = None
        try:
            while (now_s := time.monotonic() - self._begun_s) < seconds:
                frame = self._source.read(min(0.5, seconds - now_s + 0.01))
                if frame is not None:
                    last, self._frames = frame, self._frames + 1
                    self._played_s.append(frame.at_s)
        except SourceEndedError:
            if last is None or self._source.live:
                raise
        if last is None:
            raise SourceLostError(f"{address.name}: one frame came, and then none")
        self._lasted_s = time.monotonic() - self._begun_s
        self._cpu_s = time.process_time() - self._cpu_before_s
        self._received = self._source.video_bytes - self._bytes_before
        return last

    def facts(self, frame: Frame, notes: PacketNotes, known: SourceFacts) -> StreamFacts:
        """Work the figures out. A file's rates are by its own clock, not by how fast it reads."""
        steps = [later - earlier for earlier, later in pairwise(notes.key_times_s)]
        file_s = self._played_s[-1] - self._played_s[0] if len(self._played_s) > 1 else 0.0
        span_s = self._lasted_s if self._source.live else max(file_s, 1e-3)
        fps = self._frames / span_s
        cpu_per_frame_s = self._cpu_s / self._frames
        return StreamFacts(
            codec=_codec_name(notes.codec or known.decoder),
            profile=notes.profile,
            width_px=frame.size[0],
            height_px=frame.size[1],
            fps=round(fps, 2),
            announced_fps=notes.announced_fps,
            key_frame_interval_s=round(statistics.mean(steps), 2) if steps else None,
            key_frames=notes.key_frames,
            bitrate_kbps=round(self._received * 8 / span_s / 1000, 1),
            decoder=known.decoder,
            fallback=known.fallback,
            decode_ms=round(cpu_per_frame_s * 1000, 2),
            decode_cores=round(cpu_per_frame_s * fps, 3),
            clock_offset_s=round(statistics.median(notes.offsets_s), 2)
            if notes.offsets_s
            else None,
            watched_s=round(self._lasted_s, 1),
        )


def _first_frame(source: FrameSource, address: CameraAddress) -> None:
    until_s = time.monotonic() + FIRST_FRAME_S
    while time.monotonic() < until_s:
        if source.read(0.5) is not None:
            return
    raise SourceLostError(
        f"{address.name}: connected, and no picture within {FIRST_FRAME_S:g} s "
        f"({source.video_bytes} bytes of video came)"
    )


def _codec_name(caps_or_decoder: str) -> str:
    for part, name in (("h264", "H.264"), ("h265", "H.265"), ("hevc", "H.265"), ("jpeg", "MJPEG")):
        if part in caps_or_decoder:
            return name
    return caps_or_decoder.removeprefix("video/x-") or "raw"
