"""Where the weights of ONNX files lie in a file's bytes: found by walking protobuf's wire format.

Not a parser of ONNX: it knows the few fields that lead to initialisers (onnx.proto: ModelProto
``graph`` 7; GraphProto ``node`` 1, ``initializer`` 5; NodeProto ``attribute`` 5; AttributeProto
``t`` 5, ``g`` 6; TensorProto ``data_type`` 2, ``float_data`` 4, ``name`` 8, ``raw_data`` 9), and
stops where the bytes are something else. Tar archives are looked into.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, replace

_ROUTES = {
    "model": {7: "graph"},
    "graph": {1: "node", 5: "tensor"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph"},
}
_WIDTHS = {1: 4, 6: 4, 12: 4, 10: 2, 16: 2, 4: 2, 5: 2, 7: 4, 11: 4, 2: 1, 3: 1, 9: 1}
"""TensorProto.DataType → bytes of a lane; doubles and int64 move as pairs of 32 bits."""
MAX_DEPTH = 12


@dataclass(frozen=True, slots=True)
class Tensor:
    """A run of weights in a file."""

    name: str
    width: int
    at: int
    size: int


def find_tensors(content: bytes) -> list[Tensor]:
    """Return the weights of every ONNX file in ``content``, in order; none where there is none."""
    found = []
    for prefix, at, end in members(content) or [("", 0, len(content))]:
        found += [
            replace(tensor, name=f"{prefix}/{tensor.name}")
            for tensor in _walk(memoryview(content), (at, end), "model", MAX_DEPTH)
        ]
    return sorted(found, key=lambda tensor: tensor.at)


def members(content: bytes) -> list[tuple[str, int, int]]:
    """Return name, begin and end of the files inside a tar archive; none where it is no archive."""
    try:
        with tarfile.open(fileobj=io.BytesIO(content), mode="r:") as archive:
            return [
                (entry.name, entry.offset_data, entry.offset_data + entry.size)
                for entry in archive
                if entry.isreg()
            ]
    except (tarfile.TarError, EOFError):
        return []


def _walk(content: memoryview, span: tuple[int, int], kind: str, depth: int) -> Iterator[Tensor]:
    if kind == "tensor":
        tensor = _tensor(content, span)
        if tensor:
            yield tensor
        return
    for field, start, end in _fields(content, span) if depth else []:
        route = _ROUTES[kind].get(field)
        if route:
            yield from _walk(content, (start, end), route, depth - 1)


def _tensor(content: memoryview, span: tuple[int, int]) -> Tensor | None:
    kind, name, data = 0, "", (0, 0)
    for field, start, end in _fields(content, span):
        if field == 8:
            name = bytes(content[start:end]).decode("utf-8", "replace")
        elif field in (4, 9):
            data = (start, end)
        elif field == -2:
            kind = start
    width, size = _WIDTHS.get(kind, 0), data[1] - data[0]
    return Tensor(name, width, data[0], size) if width and size and not size % width else None


def _fields(content: memoryview, span: tuple[int, int]) -> Iterator[tuple[int, int, int]]:
    """Yield number, begin and end of a message's long fields; a small number as ``-field, it``."""
    at, end = span
    while at < end:
        tag, at = _varint(content, at, end)
        field, wire = tag >> 3, tag & 7
        if wire == 0:
            value, at = _varint(content, at, end)
            if at >= 0:
                yield -field, value, value
        elif wire == 2:
            size, at = _varint(content, at, end)
            if at < 0 or at + size > end:
                return
            yield field, at, at + size
            at += size
        elif wire in (1, 5):
            at += 8 if wire == 1 else 4
        else:
            return
        if at < 0:
            return


def _varint(content: memoryview, at: int, end: int) -> tuple[int, int]:
    """Return a number and where the next begins; -1 where there is none."""
    value = 0
    for shift in range(0, 70, 7):
        if not 0 <= at < end:
            break
        byte = content[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
    return 0, -1
