"""Packed streams of a delta, read piece by piece: no more memory than asked for.

Each stream is packed by whichever of zstd, LZMA and bzip2 made it smallest.
"""

from __future__ import annotations

import bz2
import lzma
from enum import IntEnum
from typing import Protocol

import zstandard

from shopfloor_contracts.errors import DeltaError

MAX_WINDOW_BYTES = 1 << 27
"""Of zstd; a frame that asks for more is refused before memory is taken."""
MAX_LZMA_BYTES = 1 << 26


class Codec(IntEnum):
    """How a stream is packed."""

    RAW = 0
    ZSTD = 1
    LZMA = 2
    """The ``.lzma`` container: its parameters are in the first 13 bytes."""
    BZIP2 = 3


class _Reader(Protocol):
    def read(self, size: int) -> bytes:
        """Return up to ``size`` bytes; none at the end."""


class Stream:
    """One stream of a delta, of a size that is told beforehand."""

    def __init__(self, codec: int, packed: bytes, size: int) -> None:
        self._reader, self._left = _opened(codec, packed), size

    def take(self, size: int) -> bytes:
        """Return the next ``size`` bytes.

        Raises:
            DeltaError: there are fewer, or they cannot be unpacked.
        """
        if size > self._left:
            raise DeltaError(f"a stream has {self._left} bytes left, expected {size}")
        self._left -= size
        parts = []
        while size:
            part = self._read(size)
            if not part:
                raise DeltaError(f"a stream ends {size} bytes early")
            parts.append(part)
            size -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def finish(self) -> None:
        """Raise ``DeltaError`` if something is left."""
        if self._left or self._read(1):
            raise DeltaError("a stream is longer than what is made of it")

    def _read(self, size: int) -> bytes:
        try:
            return self._reader.read(size)
        except (zstandard.ZstdError, lzma.LZMAError, OSError, EOFError, ValueError) as e:
            raise DeltaError(f"a stream cannot be unpacked: {str(e)[:100]}") from e
        except MemoryError as e:
            raise DeltaError("a stream asks for more memory than there is") from e


class _Bytes:
    def __init__(self, content: bytes) -> None:
        self._content, self._at = memoryview(content), 0

    def read(self, size: int) -> bytes:
        part = bytes(self._content[self._at : self._at + size])
        self._at += len(part)
        return part


class _Stepwise:
    """A decompressor of the standard library as a reader."""

    def __init__(
        self, decompressor: lzma.LZMADecompressor | bz2.BZ2Decompressor, packed: bytes
    ) -> None:
        self._decompressor, self._packed = decompressor, packed

    def read(self, size: int) -> bytes:
        if self._decompressor.eof:
            return b""
        packed, self._packed = self._packed, b""
        return self._decompressor.decompress(packed, size)


def _opened(codec: int, packed: bytes) -> _Reader:
    try:
        if codec == Codec.ZSTD:
            return zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW_BYTES).stream_reader(
                packed
            )
        if codec == Codec.LZMA:
            stepwise = lzma.LZMADecompressor(lzma.FORMAT_ALONE, memlimit=MAX_LZMA_BYTES)
            return _Stepwise(stepwise, packed)
    except (zstandard.ZstdError, lzma.LZMAError) as e:
        raise DeltaError(f"a stream cannot be unpacked: {str(e)[:100]}") from e
    if codec == Codec.BZIP2:
        return _Stepwise(bz2.BZ2Decompressor(), packed)
    if codec == Codec.RAW:
        return _Bytes(packed)
    raise DeltaError(f"a stream is packed by codec {codec}, expected 0 to 3")
