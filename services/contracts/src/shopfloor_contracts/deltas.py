"""From a file that a device has to the one that it wants: the format of a delta, and its decoder.

A delta is ``SFD1``, a head (method, sha256 and size of base and result), and a body:

- ``WHOLE``, ``PATCH``: one zstd frame; for ``PATCH`` the base is its dictionary.
- ``STEPS``: nine streams (``delta_streams``): control, extra, one plane of bytes, two planes of
  16-bit lanes, four of 32-bit lanes. The control stream says, step by step, how the result goes
  on: copied from the base, taken from ``extra``, or the base with differences (``delta_lanes``).

Every size is checked before memory is taken; the digest of the result decides.
"""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

import zstandard

from shopfloor_contracts.delta_lanes import GROUP_BYTES, Lanes
from shopfloor_contracts.delta_streams import Codec, Stream
from shopfloor_contracts.errors import DeltaError

MAGIC = b"SFD1"
MAX_RESULT_BYTES = 1 << 30
MAX_BASE_BYTES = 1 << 28
"""It is held in memory."""
MAX_PATCH_BYTES = 1 << 26
"""Base and result together, where a device must hold both in memory."""
MAX_CONTROL_BYTES = 1 << 21
MAX_STEPS = 250_000
WIDTHS = (1, 2, 4)
STREAMS = 2 + sum(WIDTHS)
HEAD = struct.Struct("<4sB32s32sQQ")
STREAM = struct.Struct("<BII")
_CHUNK_BYTES = 1 << 20


class Method(IntEnum):
    """What the body is."""

    WHOLE = 0
    PATCH = 1
    STEPS = 2


class Kind(IntEnum):
    """How a step makes bytes; the lane kinds are their widths."""

    EXTRA = 0
    ADD_1 = 1
    ADD_2 = 2
    ADD_4 = 4
    COPY = 8


@dataclass(frozen=True, slots=True)
class Head:
    """What a delta says of itself."""

    method: Method
    base: str
    result: str
    base_bytes: int
    result_bytes: int

    def packed(self) -> bytes:
        """Return the head's bytes."""
        digests = bytes.fromhex(self.base), bytes.fromhex(self.result)
        return HEAD.pack(MAGIC, self.method, *digests, self.base_bytes, self.result_bytes)


@dataclass(frozen=True, slots=True)
class Step:
    """The next ``size`` bytes of the result; ``at`` is where in the base, 0 for ``EXTRA``."""

    kind: Kind
    size: int
    at: int = 0


def apply_delta(base: Path, delta: Path, out: Path, *, limit_bytes: int = MAX_RESULT_BYTES) -> None:
    """Write to ``out``, synced, what ``delta`` makes of ``base``.

    Raises:
        DeltaError: the delta is damaged or for another base, or the result is larger than
            ``limit_bytes`` or not the one that it promises; ``out`` is removed.
        OSError: a file cannot be read or written; ``out`` is removed.
    """
    packed = _read(delta, limit_bytes)
    head = read_head(packed, limit_bytes=limit_bytes)
    content = memoryview(_read(base, MAX_BASE_BYTES))
    found = hashlib.sha256(content).hexdigest()
    if found != head.base or len(content) != head.base_bytes:
        raise DeltaError(f"made for base {head.base[:12]}, {base.name} is {found[:12]}")
    _write(out, head, _parts(head, content, packed[HEAD.size :]))


def read_head(packed: bytes, *, limit_bytes: int = MAX_RESULT_BYTES) -> Head:
    """Return what a delta says of itself.

    Raises:
        DeltaError: it is none, or wants to become too large.
    """
    if len(packed) < HEAD.size or packed[:4] != MAGIC:
        raise DeltaError(f"begins with {packed[:4]!r} and has {len(packed)} bytes: no delta")
    _, method, base, result, base_bytes, result_bytes = HEAD.unpack_from(packed)
    if method not in set(Method):
        raise DeltaError(f"method {method}, expected 0 to 2")
    if result_bytes > limit_bytes:
        raise DeltaError(f"declares {result_bytes} bytes, at most {limit_bytes} are taken")
    return Head(Method(method), base.hex(), result.hex(), base_bytes, result_bytes)


def read_steps(control: bytes, head: Head) -> list[Step]:
    """Return the steps of a control stream, in order.

    Raises:
        DeltaError: one leaves the base or the result, is no whole number of lanes, or all of
            them together do not make the result.
    """
    steps: list[Step] = []
    at, made, cursor = 0, 0, 0
    while at < len(control):
        kind, (size, at) = control[at], _number(control, at + 1)
        if kind not in _KINDS:
            raise DeltaError(f"step of kind {kind}, expected one of {sorted(_KINDS)}")
        if kind != Kind.EXTRA:
            moved, at = _number(control, at)
            cursor += (moved >> 1) ^ -(moved & 1)
            if not 0 <= cursor <= head.base_bytes - size:
                raise DeltaError(f"step reads {size} bytes at {cursor} of {head.base_bytes}")
        if not size or (kind in WIDTHS and size % kind):
            raise DeltaError(f"step of {size} bytes in lanes of {kind}")
        steps.append(Step(Kind(kind), size, cursor if kind else 0))
        cursor += size if kind else 0
        made += size
        if made > head.result_bytes or len(steps) > MAX_STEPS:
            raise DeltaError(f"{len(steps)} steps make {made} bytes of {head.result_bytes}")
    if made != head.result_bytes:
        raise DeltaError(f"steps make {made} bytes, expected {head.result_bytes}")
    return steps


_KINDS = frozenset(int(kind) for kind in Kind)


def grouped(base: memoryview, steps: Sequence[Step], width: int) -> Iterator[bytes]:
    """Yield the base under all lanes of a width, in groups of ``GROUP_BYTES``."""
    group = bytearray()
    for step in steps:
        if step.kind != width:
            continue
        at, end = step.at, step.at + step.size
        while at < end:
            part = base[at : min(end, at + GROUP_BYTES - len(group))]
            group += part
            at += len(part)
            if len(group) == GROUP_BYTES:
                yield bytes(group)
                group.clear()
    if group:
        yield bytes(group)


def _parts(head: Head, base: memoryview, body: bytes) -> Iterator[bytes]:
    if head.method == Method.STEPS:
        return _by_steps(head, base, body)
    return _by_frame(head, base, body)


def _by_frame(head: Head, base: memoryview, body: bytes) -> Iterator[bytes]:
    if head.method == Method.WHOLE:
        stream = Stream(Codec.ZSTD, body, head.result_bytes)
        for at in range(0, head.result_bytes, _CHUNK_BYTES):
            yield stream.take(min(_CHUNK_BYTES, head.result_bytes - at))
        stream.finish()
        return
    if head.base_bytes + head.result_bytes > MAX_PATCH_BYTES:
        raise DeltaError(f"{head.base_bytes + head.result_bytes} bytes, {MAX_PATCH_BYTES} max")
    dictionary = zstandard.ZstdCompressionDict(
        bytes(base), dict_type=zstandard.DICT_TYPE_RAWCONTENT
    )
    decompressor = zstandard.ZstdDecompressor(
        dict_data=dictionary, max_window_size=2 * MAX_PATCH_BYTES
    )
    try:
        # The declared size may be a lie: no more than the head's is ever decompressed.
        with decompressor.stream_reader(body) as reader:
            yield reader.read(head.result_bytes)
            if reader.read(1):
                raise DeltaError("the frame is longer than the result")
    except zstandard.ZstdError as e:
        raise DeltaError(f"the frame cannot be unpacked: {str(e)[:100]}") from e


def _by_steps(head: Head, base: memoryview, body: bytes) -> Iterator[bytes]:
    sizes, streams = _streams(head, body)
    control, extra, *planes = streams
    steps = read_steps(control.take(sizes[0]), head)
    lanes, first = {}, 0
    for width in WIDTHS:
        mine = planes[first : first + width]
        first += width

        def next_planes(count: int, mine: Sequence[Stream] = mine) -> list[bytes]:
            return [plane.take(count) for plane in mine]

        lanes[width] = Lanes(width, grouped(base, steps, width), next_planes)
    for step in steps:
        left, at = step.size, step.at
        while left:
            if step.kind == Kind.EXTRA:
                part = extra.take(min(left, _CHUNK_BYTES))
            elif step.kind == Kind.COPY:
                part = bytes(base[at : at + min(left, _CHUNK_BYTES)])
            else:
                part = lanes[step.kind].take(left)
            yield part
            left -= len(part)
            at += len(part)
    for stream in streams:
        stream.finish()


def _streams(head: Head, body: bytes) -> tuple[list[int], list[Stream]]:
    sizes, streams, at = [], [], STREAMS * STREAM.size
    if len(body) < at:
        raise DeltaError(f"body of {len(body)} bytes, expected {at} and more")
    for number in range(STREAMS):
        codec, packed_bytes, size = STREAM.unpack_from(body, number * STREAM.size)
        limit = head.result_bytes if number else MAX_CONTROL_BYTES
        if size > limit or packed_bytes > len(body) - at:
            raise DeltaError(f"stream {number} declares {size} bytes of {packed_bytes}")
        packed = body[at : at + packed_bytes]
        streams.append(Stream(codec, packed, size) if size else Stream(Codec.RAW, b"", 0))
        sizes.append(size)
        at += packed_bytes
    if at != len(body):
        raise DeltaError(f"{len(body) - at} bytes follow the last stream")
    return sizes, streams


def _number(content: bytes, at: int) -> tuple[int, int]:
    """Read a LEB128 number of at most five bytes; return it and where the next begins."""
    value = 0
    for shift in range(0, 35, 7):
        if at >= len(content):
            break
        byte = content[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
    raise DeltaError("a number in the control stream does not end")


def _write(out: Path, head: Head, parts: Iterator[bytes]) -> None:
    digest, size = hashlib.sha256(), 0
    try:
        with out.open("wb") as file:
            for part in parts:
                digest.update(part)
                size += len(part)
                file.write(part)
            file.flush()
            os.fsync(file.fileno())
        if (digest.hexdigest(), size) != (head.result, head.result_bytes):
            raise DeltaError(f"makes {digest.hexdigest()[:12]}, promises {head.result[:12]}")
    except BaseException:
        with suppress(OSError):
            out.unlink(missing_ok=True)
        raise


def _read(path: Path, limit_bytes: int) -> bytes:
    with path.open("rb") as file:
        content = file.read(limit_bytes + 1)
    if len(content) > limit_bytes:
        raise DeltaError(f"{path.name} has more than {limit_bytes} bytes")
    return content
