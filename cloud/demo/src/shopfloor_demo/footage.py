"""The demo's footage as a camera sends it: converted once, kept in the cache."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from shopfloor_demo import encoding
from shopfloor_demo.clips import VTEST_SHA256, Places, find_vtest
from shopfloor_demo.errors import ConversionError

VTEST_FRAMES = 795
# x264 writes an access unit delimiter (H.264 §7.3.2.4) before every frame and nowhere else.
_DELIMITER = b"\x00\x00\x00\x01\x09"


@dataclass(frozen=True, slots=True)
class Clip:
    """An H.264 byte stream."""

    path: Path
    frames: int
    size_bytes: int


def vtest_h264(where: Places, *, say: Callable[[str], None]) -> Clip:
    """Return the clip as a camera sends it; convert it when the cache has none."""
    name = f"q{encoding.QUANTIZER}-gop{encoding.KEY_FRAME_EVERY}.h264"
    target = where.cache / "h264" / VTEST_SHA256 / name
    if not (target.is_file() and _frames_in(target) == VTEST_FRAMES):
        source = find_vtest(where, say=say)
        say(f"converting {source} to H.264 (once)")
        _convert(source, target, say=say)
        say(f"kept in {target}: {target.stat().st_size:,} bytes, all {VTEST_FRAMES} frames decode")
    return Clip(target, VTEST_FRAMES, target.stat().st_size)


def _convert(source: Path, target: Path, *, say: Callable[[str], None]) -> None:
    def progress(frames: int) -> None:
        if frames % 200 == 0:
            say(f"  {frames} of {VTEST_FRAMES} frames")

    fresh = target.with_suffix(f".{os.getpid()}.tmp")
    try:
        encoding.encode(source, fresh, progress=progress)
        decoded = encoding.count_decoded(fresh)
        if decoded != VTEST_FRAMES or _frames_in(fresh) != VTEST_FRAMES:
            raise ConversionError(
                f"{source}: {decoded} frames after conversion, expected {VTEST_FRAMES}"
            )
        fresh.replace(target)
    finally:
        fresh.unlink(missing_ok=True)


def _frames_in(path: Path) -> int:
    return path.read_bytes().count(_DELIMITER)
