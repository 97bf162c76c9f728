"""Weights as lanes of 1, 2 or 4 bytes: result = base + difference, modulo the lane.

A difference of two floats is taken between their bits as integers, so it is exact. How far a
training step moves those bits depends on the weight's exponent, which the base tells: differences
are sent sorted by it, and each byte of theirs in a plane of its own. The standard library only:
a device has no NumPy where this runs; machines are little endian. Lanes are added many at once
inside Python's long integers (Lamport, Multiple byte processing with full-word instructions,
1975).
"""

from __future__ import annotations

import functools
from array import array
from collections.abc import Callable, Iterator, Sequence

CHUNK_BYTES = 1 << 14
GROUP_BYTES = 1 << 22
"""Differences are sorted by exponent within groups of so many bytes: the memory that it takes."""
_TYPES = {1: "B", 2: "H", 4: "I"}


def exponents(base: bytes, width: int) -> bytes:
    """Return a byte per lane: the exponent of a float of ``width`` bytes; 0 for single bytes."""
    if width == 1:
        return bytes(len(base))
    # float16 keeps its exponent in bits 10-14, float32 in bits 23-30: shifted to the top byte.
    high = base[width - 1 :: width]
    if width == 2:
        return high.translate(_EXPONENT_16)
    shifted = int.from_bytes(base, "little") << 1
    whole = shifted.to_bytes(len(base) + 1, "little")
    return whole[3 : len(base) : 4]


_EXPONENT_16 = bytes((byte >> 2) & 31 for byte in range(256))


def restore(base: bytes, planes: Sequence[bytes], width: int) -> bytes:
    """Return the result of one group.

    Args:
        base: whole lanes, little endian, at most ``GROUP_BYTES``.
        planes: ``width`` times one byte per lane, the lowest first: zigzag differences, sorted
            by the exponent of the base, in their own order within one exponent.
    """
    found = bytearray(len(base))
    for number, plane in enumerate(planes):
        found[number::width] = plane
    ordered = _unsorted(bytes(found), base, width) if width > 1 else bytes(found)
    parts = [
        _add(base[at : at + CHUNK_BYTES], ordered[at : at + CHUNK_BYTES], width)
        for at in range(0, len(base), CHUNK_BYTES)
    ]
    return b"".join(parts)


class Lanes:
    """The lanes of one width in a delta, restored group by group as they are asked for."""

    def __init__(
        self,
        width: int,
        base: Iterator[bytes],
        planes: Callable[[int], Sequence[bytes]],
    ) -> None:
        """``base`` yields the base of each group, ``planes`` the next so many of each plane."""
        self._width, self._base, self._planes = width, base, planes
        self._ready, self._at = b"", 0

    def take(self, size: int) -> bytes:
        """Return up to ``size`` bytes of the result, at least one; the base's end raises."""
        if self._at == len(self._ready):
            base = next(self._base)
            self._ready = restore(base, self._planes(len(base) // self._width), self._width)
            self._at = 0
        part = self._ready[self._at : self._at + size]
        self._at += len(part)
        return part


def _unsorted(ordered: bytes, base: bytes, width: int) -> bytes:
    """Put differences back from the order of the exponents into that of the lanes."""
    keys = exponents(base, width)
    values = array(_TYPES[width], ordered)
    at = 0
    buckets: list[Iterator[int]] = [iter(())] * 256
    for key in sorted(set(keys)):
        count = keys.count(key)
        buckets[key] = iter(values[at : at + count])
        at += count
    # A bucket has as many values as the keys ask of it, so no iterator ends early.
    return array(_TYPES[width], map(next, map(buckets.__getitem__, keys))).tobytes()


def _add(base: bytes, zigzag: bytes, width: int) -> bytes:
    ones, low_bits, high_bits = _masks(len(base), width)
    a, z = int.from_bytes(base, "little"), int.from_bytes(zigzag, "little")
    odd = z & ones
    d = ((z >> 1) & low_bits) ^ ((odd << (8 * width)) - odd)
    total = ((a & low_bits) + (d & low_bits)) ^ ((a ^ d) & high_bits)
    return total.to_bytes(len(base), "little")


@functools.lru_cache(maxsize=16)
def _masks(size: int, width: int) -> tuple[int, int, int]:
    """Return the lowest bit of every lane, all but the highest, and the highest."""
    ones = int.from_bytes((b"\x01" + bytes(width - 1)) * (size // width), "little")
    high = ones << (8 * width - 1)
    return ones, ((1 << (8 * size)) - 1) ^ high, high
