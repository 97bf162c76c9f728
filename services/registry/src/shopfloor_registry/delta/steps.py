"""Writes steps as a delta's body: residuals in sorted planes, each stream packed its best way."""

from __future__ import annotations

import bz2
import lzma
from collections.abc import Iterable, Sequence

import numpy as np
import zstandard
from numpy.typing import NDArray

from shopfloor_contracts.delta_lanes import GROUP_BYTES, exponents
from shopfloor_contracts.delta_streams import Codec
from shopfloor_contracts.deltas import MAX_CONTROL_BYTES, MAX_STEPS, STREAM, WIDTHS, Kind, Step

_LZMA_DICTIONARY_BYTES = 1 << 24
_CHEAP_BYTES = 256


def body(steps: Sequence[Step], base: bytes, result: bytes) -> bytes | None:
    """Return a ``STEPS`` body, or None when there are more steps than a device reads."""
    control = _control(steps)
    if len(steps) > MAX_STEPS or len(control) > MAX_CONTROL_BYTES:
        return None
    streams = [control, _extra(steps, result)]
    for width in WIDTHS:
        streams += _planes(steps, base, result, width)
    packed = [pack(stream) for stream in streams]
    heads = [
        STREAM.pack(codec, len(content), len(stream))
        for (codec, content), stream in zip(packed, streams, strict=True)
    ]
    return b"".join(heads) + b"".join(content for _, content in packed)


def merged(steps: Iterable[Step]) -> list[Step]:
    """Join steps of one kind that follow each other in the base as in the result."""
    out: list[Step] = []
    for step in steps:
        last = out[-1] if out else None
        if last and last.kind == step.kind and _follows(last, step):
            out[-1] = Step(last.kind, last.size + step.size, last.at)
        else:
            out.append(step)
    return out


def pack(content: bytes) -> tuple[Codec, bytes]:
    """Return ``content`` by the codec that makes it smallest."""
    ways = [(Codec.RAW, content)]
    if content:
        zstd = zstandard.ZstdCompressor(level=19, write_content_size=False)
        ways.append((Codec.ZSTD, zstd.compress(content)))
    if len(content) > _CHEAP_BYTES:
        ways.append((Codec.BZIP2, bz2.compress(content)))
        ways += [(Codec.LZMA, _lzma(content, lc, pb)) for lc, pb in ((0, 0), (3, 2))]
    return min(ways, key=lambda way: len(way[1]))


def _lzma(content: bytes, lc: int, pb: int) -> bytes:
    size = min(_LZMA_DICTIONARY_BYTES, max(4096, len(content)))
    chosen = {"id": lzma.FILTER_LZMA1, "preset": 9, "dict_size": size, "lc": lc, "lp": 0, "pb": pb}
    return lzma.compress(content, lzma.FORMAT_ALONE, filters=[chosen])


def _follows(last: Step, step: Step) -> bool:
    return last.kind == Kind.EXTRA or last.at + last.size == step.at


def _control(steps: Sequence[Step]) -> bytes:
    out, cursor = bytearray(), 0
    for step in steps:
        out.append(step.kind)
        out += _number(step.size)
        if step.kind != Kind.EXTRA:
            moved = step.at - cursor
            out += _number(moved << 1 if moved >= 0 else (-moved << 1) - 1)
            cursor = step.at + step.size
    return bytes(out)


def _extra(steps: Sequence[Step], result: bytes) -> bytes:
    parts, at = [], 0
    for step in steps:
        if step.kind == Kind.EXTRA:
            parts.append(result[at : at + step.size])
        at += step.size
    return b"".join(parts)


def _planes(steps: Sequence[Step], base: bytes, result: bytes, width: int) -> list[bytes]:
    """Return the planes of a width: zigzag differences, sorted by exponent within each group."""
    old, new, at = bytearray(), bytearray(), 0
    for step in steps:
        if step.kind == width:
            old += base[step.at : step.at + step.size]
            new += result[at : at + step.size]
        at += step.size
    planes = [bytearray() for _ in range(width)]
    for start in range(0, len(old), GROUP_BYTES):
        before = bytes(old[start : start + GROUP_BYTES])
        moved = _zigzag(before, bytes(new[start : start + GROUP_BYTES]), width)
        keys = np.frombuffer(exponents(before, width), np.uint8)
        ordered = moved[np.argsort(keys, kind="stable")]
        raw = ordered.view(np.uint8).reshape(-1, width)
        for number, plane in enumerate(planes):
            plane.extend(raw[:, number].tobytes())
    return [bytes(plane) for plane in planes]


def _zigzag(before: bytes, after: bytes, width: int) -> NDArray[np.unsignedinteger]:
    kind = np.dtype(f"<u{width}")
    moved = np.frombuffer(after, kind) - np.frombuffer(before, kind)
    negative = (moved >> kind.type(8 * width - 1)).astype(kind)
    # All ones where negative: unsigned 0 - 1 wraps.
    folded = (moved << kind.type(1)) ^ (kind.type(0) - negative)
    return np.ascontiguousarray(folded, kind)


def _number(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)
