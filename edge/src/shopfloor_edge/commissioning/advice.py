"""What to change on a camera, from what was measured. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from shopfloor_edge.commissioning.survey import StreamFacts

KEY_FRAME_MAX_S = 4.0
"""A reconnect shows nothing before the next key frame."""
PIXELS_ENOUGH = 1280 * 720
"""Detectors look at 640 pixels or less; more only costs decoding."""
FPS_ENOUGH = 15.5
"""People are followed at 10; half a frame of tolerance for 15."""
CORES_MANY = 0.5
CLOCK_OFFSET_S = 1.0
MJPEG_KBPS = 4000.0
LATE_RATIO = 0.8


def advise(facts: StreamFacts) -> list[str]:
    """Return one sentence per thing worth changing; none when all is well."""
    return [*_stream(facts), *_cost(facts), *_time(facts)]


def _stream(facts: StreamFacts) -> Iterator[str]:
    interval_s = facts.key_frame_interval_s
    if facts.key_frames < 2 and facts.watched_s > KEY_FRAME_MAX_S:
        yield f"fewer than two key frames in {facts.watched_s:g} s: set one every 2 s"
    elif interval_s is not None and interval_s > KEY_FRAME_MAX_S:
        yield f"key frame every {interval_s:g} s: set 2 s"
    if facts.announced_fps and facts.fps < LATE_RATIO * facts.announced_fps:
        yield (
            f"{facts.fps:g} frames/s come of {facts.announced_fps:g} announced: a long exposure "
            "at night, or a network that loses packets"
        )
    if facts.codec == "MJPEG" and facts.bitrate_kbps > MJPEG_KBPS:
        yield f"MJPEG takes {facts.bitrate_kbps / 1000:.1f} Mbit/s: set H.264 over RTSP"


def _cost(facts: StreamFacts) -> Iterator[str]:
    if facts.width_px * facts.height_px > PIXELS_ENOUGH:
        yield (
            f"{facts.width_px} x {facts.height_px} for inference: use the sub-stream as sub_uri, "
            "640 x 360 to 1280 x 720 is enough"
        )
    if facts.fps > FPS_ENOUGH:
        yield f"{facts.fps:.0f} frames/s: 10 to 15 are enough"
    if facts.fallback:
        yield f"decoded in software: {facts.fallback}"
    elif facts.codec == "H.265" and facts.decoder.startswith(("avdec_", "libde265")):
        yield "H.265 without a hardware decoder: set H.264, or a device that decodes it"
    if facts.decode_cores > CORES_MANY:
        yield f"decoding takes {facts.decode_cores:.2f} cores: a smaller or slower stream"


def _time(facts: StreamFacts) -> Iterator[str]:
    offset_s = facts.clock_offset_s
    if offset_s is not None and abs(offset_s) > CLOCK_OFFSET_S:
        which = "ahead of" if offset_s > 0 else "behind"
        yield f"its clock is {abs(offset_s):.1f} s {which} this device's: set an NTP server"
