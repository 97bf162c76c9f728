"""A pattern that is planted in frames, and the search for it in bytes that have left a device.

The pattern is a row of flat squares of eight pixels, whose greys no text and no figure makes by
chance: flat blocks pass JPEG unchanged, and any copy of them (planes, BGR, scaled down, in base64
or hexadecimal, compressed) keeps their order. A picture in any format is a hit by its first bytes.

The staff do see pictures, with people masked. There, stripes that are planted on the person are
what must not be found.
"""

from __future__ import annotations

import base64
import binascii
import gzip
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import zstandard

from shopfloor_contracts.batches import shipped_dictionaries

GREYS = (23, 94, 51, 117, 38, 79, 108, 61, 30, 101, 45, 86, 113, 27, 72, 55)
SQUARE_PX = 8
IN_A_ROW = 4
"""So many squares side by side are a hit."""
PERSON_GREY, DARKER_GREY = 200, 165
"""What is brighter than the first is the person; every other two rows of it get the second."""
STRIPED_PX = 12, 4
"""Rows and columns of stripes that are a hit."""
PICTURE_PX = 128, 96
STEP_GREYS = 30
PICTURES = {
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG\r\n": "PNG",
    b"WEBPVP8": "WebP",
    b"GIF8": "GIF",
    b"ftypisom": "MP4",
    b"\x00\x00\x00\x01\x67": "H.264",
}
_BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{48,}")
_HEX = re.compile(rb"(?:[0-9a-f]{2}){32,}")
_DEPTH = 3


@dataclass(frozen=True, slots=True)
class Hit:
    """One place where something of a picture was found."""

    where: str
    what: str


def plant(picture: np.ndarray) -> np.ndarray:
    """Draw the pattern over the top and the bottom sixteen rows, in place.

    Args:
        picture: ``(H, W, 3)`` uint8; rows and columns are taken in squares of eight.
    """
    width = picture.shape[1]
    row = np.repeat(np.resize(GREYS, -(-width // SQUARE_PX)), SQUARE_PX)[:width]
    for rows in (slice(0, 16), slice(-16, None)):
        picture[rows] = row[None, :, None]
    middle = picture[16:-16]
    middle[(middle > PERSON_GREY) & (np.arange(len(middle)) % 4 < 2)[:, None, None]] = DARKER_GREY
    return picture


def shows_the_person(picture: np.ndarray) -> bool:
    """Say whether the stripes of the person are in a picture ``(H, W, 3)`` uint8, of any scale."""
    import cv2  # noqa: PLC0415 - see leaks

    grey = cv2.resize(picture, (PICTURE_PX[0], PICTURE_PX[1]))[:, :, 1].astype(int)
    striped = np.abs(grey[2:] - grey[:-2]) > STEP_GREYS
    rows, columns = STRIPED_PX
    patches = np.lib.stride_tricks.sliding_window_view(striped, (rows, columns))
    return bool(patches.all(axis=(2, 3)).any())


def frames_of(content: bytes) -> list[np.ndarray]:
    """Return the frames of an encoded picture or animation.

    Raises:
        AssertionError: it is no picture.
    """
    import cv2  # noqa: PLC0415 - see leaks

    buffer = np.frombuffer(content, np.uint8)
    if content[8:12] == b"WEBP":
        done, animation = cv2.imdecodeanimation(buffer)
        assert done
        return [frame[:, :, :3] for frame in animation.frames]
    picture = cv2.imdecode(buffer, cv2.IMREAD_COLOR)
    assert picture is not None, "no picture"
    return [picture]


def hits(data: bytes, where: str) -> list[Hit]:
    """Return what of the pattern, or of any picture, is in ``data`` and in what it unpacks to."""
    found = []
    for layer, content in _layers(data, where, _DEPTH):
        found += [Hit(layer, name) for magic, name in PICTURES.items() if magic in content]
        found += [Hit(layer, name) for name in _patterns(content)]
    return found


def _patterns(content: bytes) -> Iterator[str]:
    """Look for the greys as runs of equal bytes: of any length of two or more, in their order."""
    values = np.frombuffer(content, np.uint8)
    if values.size < 2 * IN_A_ROW:
        return
    starts = np.flatnonzero(np.diff(values, prepend=~values[:1]) != 0)
    lengths = np.diff(starts, append=values.size)
    runs = values[starts][lengths >= 2].astype(int)
    # BGR of a frame in limited range is stretched; full range is not.
    for name, greys in (("grey", np.array(GREYS)), ("BGR", _stretched(np.array(GREYS)))):
        for first in range(len(greys)):
            wanted = np.roll(greys, -first)[:IN_A_ROW]
            if runs.size >= IN_A_ROW:
                windows = np.lib.stride_tricks.sliding_window_view(runs, IN_A_ROW)
                if (np.abs(windows - wanted) <= 2).all(axis=1).any():
                    yield f"{name} squares from {first}"
                    break


def _stretched(greys: np.ndarray) -> np.ndarray:
    return np.clip((greys - 16) * 255 / 219, 0, 255).round()


def _layers(data: bytes, where: str, depth: int) -> Iterator[tuple[str, bytes]]:
    yield where, data
    if depth == 0:
        return
    for name, inner in _unpacked(data):
        yield from _layers(inner, f"{where} > {name}", depth - 1)


def _unpacked(data: bytes) -> Iterator[tuple[str, bytes]]:
    for found in re.finditer(rb"\x28\xb5\x2f\xfd", data):
        for dictionary in (None, *shipped_dictionaries().values()):
            try:
                reader = zstandard.ZstdDecompressor(dict_data=dictionary).decompressobj()
                yield "zstd", reader.decompress(data[found.start() :])
                break
            except zstandard.ZstdError:
                continue
    for found in re.finditer(rb"\x1f\x8b\x08", data):
        try:
            yield "gzip", zlib.decompressobj(wbits=31).decompress(data[found.start() :])
        except zlib.error:
            continue
    for found in _BASE64.finditer(data):
        text = found.group().replace(b"-", b"+").replace(b"_", b"/")
        for skip in range(4):
            part = text[skip:]
            yield "base64", base64.b64decode(part[: len(part) // 4 * 4])
    for found in _HEX.finditer(data):
        yield "hexadecimal", binascii.unhexlify(found.group())


def leaks(picture: np.ndarray) -> dict[str, bytes]:
    """Return ways in which a careless program would let ``picture`` out; each must be a hit."""
    import cv2  # noqa: PLC0415 - the search itself reads bytes only

    raw = picture.tobytes()
    small = cv2.resize(picture, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    jpeg = cv2.imencode(".jpg", picture)[1].tobytes()
    return {
        "planes": picture[:, :, 0].tobytes(),
        "BGR, channel by channel": picture.transpose(2, 0, 1).tobytes(),
        "scaled down": small[:, :, 0].tobytes(),
        "base64": b'{"picture":"' + base64.b64encode(picture[:4, :, 0].tobytes()) + b'"}',
        "hexadecimal": picture[0, :, 0].tobytes().hex().encode(),
        "gzip": gzip.compress(picture[:, :, 0].tobytes()),
        "zstd": zstandard.compress(picture[:, :, 0].tobytes()),
        "JPEG": jpeg,
        "JPEG in base64": b"data:image/jpeg;base64," + base64.b64encode(jpeg),
        "interleaved": raw,
    }
