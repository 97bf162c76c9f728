"""Every encoder tried, what each made checked by the device's own decoder, the smallest kept."""

from __future__ import annotations

import hashlib
import logging
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import zstandard

from shopfloor_contracts.deltas import (
    MAX_BASE_BYTES,
    MAX_PATCH_BYTES,
    Head,
    Method,
    Step,
    apply_delta,
)
from shopfloor_contracts.errors import DeltaError
from shopfloor_registry.delta import matching, steps
from shopfloor_registry.delta.wheels import by_wheels

log = logging.getLogger(__name__)

Encoder = Callable[[bytes, bytes], bytes | None]
"""Base and result to a delta's body, or None where it has no way."""
_LEVEL = 19


@dataclass(frozen=True, slots=True)
class Delta:
    """A delta that a device can use."""

    encoder: str
    content: bytes
    sizes: Mapping[str, int]
    """Of what every encoder made, in bytes."""


def best_delta(base: Path, result: Path) -> Delta | None:
    """Return the smallest delta from one file to another; None where the whole file is as small.

    Costs seconds and some 20 times the files' size in memory. What an encoder makes counts only
    if the decoder gets the result back from it.

    Raises:
        OSError: a file cannot be read.
    """
    if base.stat().st_size > MAX_BASE_BYTES:
        return None
    old, new = base.read_bytes(), result.read_bytes()
    found = by_wheels(base, result)
    made = encoded(old, new) if found is None else _of_wheels(found, old, new)
    sizes = {name: len(content) for name, content in made.items()}
    for name in sorted(made, key=lambda name: len(made[name])):
        if len(made[name]) >= len(new):
            break
        if _decodes(base, made[name]):
            return Delta(name, made[name], sizes)
        log.error("delta does not decode", extra={"encoder": name, "result": result.name})
    return None


def encoded(base: bytes, result: bytes) -> dict[str, bytes]:
    """Return what every encoder makes, by its name; not yet checked."""
    made = {}
    for name, (method, encoder) in ENCODERS.items():
        body = encoder(base, result)
        if body is not None:
            digests = hashlib.sha256(base).hexdigest(), hashlib.sha256(result).hexdigest()
            head = Head(method, *digests, len(base), len(result))
            made[name] = head.packed() + body
    return made


def _of_wheels(found: list[Step], base: bytes, result: bytes) -> dict[str, bytes]:
    digests = hashlib.sha256(base).hexdigest(), hashlib.sha256(result).hexdigest()
    head = Head(Method.STEPS, *digests, len(base), len(result))
    body = steps.body(found, base, result)
    return {} if body is None else {"wheels": head.packed() + body}


def _decodes(base: Path, delta: bytes) -> bool:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "delta"
        path.write_bytes(delta)
        try:
            apply_delta(base, path, Path(folder) / "result")
        except DeltaError:
            return False
    return True


def _whole(_base: bytes, result: bytes) -> bytes:
    return zstandard.ZstdCompressor(level=_LEVEL).compress(result)


def _patch(base: bytes, result: bytes) -> bytes | None:
    if len(base) + len(result) > MAX_PATCH_BYTES or not base:
        return None
    parameters = zstandard.ZstdCompressionParameters.from_level(
        _LEVEL,
        window_log=max(10, (len(base) + len(result)).bit_length()),
        enable_ldm=True,
        source_size=len(result),
    )
    dictionary = zstandard.ZstdCompressionDict(base, dict_type=zstandard.DICT_TYPE_RAWCONTENT)
    compressor = zstandard.ZstdCompressor(dict_data=dictionary, compression_params=parameters)
    return compressor.compress(result)


def _by(find: Callable[[bytes, bytes], list[Step] | None]) -> Encoder:
    def encode(base: bytes, result: bytes) -> bytes | None:
        found = find(base, result)
        return None if found is None else steps.body(found, base, result)

    return encode


ENCODERS: Mapping[str, tuple[Method, Encoder]] = {
    "tensors": (Method.STEPS, _by(matching.by_tensors)),
    "bsdiff": (Method.STEPS, _by(matching.by_search)),
    "zstd-patch": (Method.PATCH, _patch),
    "zstd": (Method.WHOLE, _whole),
}
