"""An ONNX file as bytes: is it one, and TensorRT's order of its first two nodes.

Reads protobuf's wire format (https://protobuf.dev/programming-guides/encoding) as far as needed.
The field numbers are those of onnx.proto3. No runtime is trusted with bytes that are not a
model: onnxruntime ends the whole process on some of them when other C++ libraries are loaded.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from shopfloor_edge.errors import BundleError

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_MODEL_GRAPH, _MODEL_OPSETS = 7, 8
_GRAPH_NODE, _GRAPH_INPUT, _GRAPH_OUTPUT, _GRAPH_VALUES = 1, 11, 12, 13
_NODE_INPUT, _NODE_OUTPUT, _NODE_KIND = 1, 2, 4
_NAME = 1
_MAX_VARINT_BYTES = 10


@dataclass(frozen=True, slots=True)
class _Field:
    number: int
    raw: bytes
    """With the tag, to be copied as it is."""
    body: bytes
    """Content of a length-delimited field, else empty."""


class _DamagedError(ValueError):
    """The bytes do not follow the wire format."""


def read_onnx(path: Path) -> bytes:
    """Return a file's content, once it is an ONNX model by its structure.

    Raises:
        BundleError: it cannot be read, is cut off, or is something else.
    """
    try:
        content = path.read_bytes()
    except OSError as e:
        raise BundleError(f"{path}: {e.strerror}") from e
    try:
        model = list(_fields(content))
        graphs = [field for field in model if field.number == _MODEL_GRAPH]
        if len(graphs) != 1 or all(field.number != _MODEL_OPSETS for field in model):
            raise _DamagedError
        graph = list(_fields(graphs[0].body))
        nodes = [list(_fields(field.body)) for field in graph if field.number == _GRAPH_NODE]
        if not nodes or all(field.number != _GRAPH_OUTPUT for field in graph):
            raise _DamagedError
    except _DamagedError as e:
        raise BundleError(f"{path}: not an ONNX model") from e
    return content


def cast_first(content: bytes) -> bytes:
    """Let the picture be cast to float before it is transposed, not after.

    TensorRT takes uint8 as a network's input but lets nothing but a cast read it. Both orders give
    the same numbers. A model that does not begin with Transpose, Cast is returned unchanged.
    """
    model = list(_fields(content))
    graph = list(_fields(next(field.body for field in model if field.number == _MODEL_GRAPH)))
    nodes = [place for place, field in enumerate(graph) if field.number == _GRAPH_NODE]
    pictures = {_text(field.body, _NAME) for field in graph if field.number == _GRAPH_INPUT}
    for first in nodes:
        if _kind(graph[first]) != "Transpose" or _text(graph[first].body, _NODE_INPUT) not in (
            pictures
        ):
            continue
        between = _text(graph[first].body, _NODE_OUTPUT)
        readers = [at for at in nodes if between in _texts(graph[at].body, _NODE_INPUT)]
        if [_kind(graph[at]) for at in readers] == ["Cast"]:
            return _swapped(model, graph, first, readers[0])
    return content


def _swapped(model: list[_Field], graph: list[_Field], first: int, second: int) -> bytes:
    """Exchange what two nodes do, and leave the names of the tensors where they are."""
    wires = (_NODE_INPUT, _NODE_OUTPUT)
    between = _text(graph[first].body, _NODE_OUTPUT)
    made = {
        at: b"".join(
            [field.raw for field in _fields(graph[at].body) if field.number in wires]
            + [field.raw for field in _fields(graph[other].body) if field.number not in wires]
        )
        for at, other in ((first, second), (second, first))
    }
    body = b"".join(
        _delimited(_GRAPH_NODE, made[at]) if at in made else field.raw
        for at, field in enumerate(graph)
        # The tensor between them has another type and shape now: what was noted of it is wrong.
        if field.number != _GRAPH_VALUES or _text(field.body, _NAME) != between
    )
    return b"".join(
        _delimited(_MODEL_GRAPH, body) if field.number == _MODEL_GRAPH else field.raw
        for field in model
    )


def _fields(content: bytes) -> Iterator[_Field]:
    at = 0
    while at < len(content):
        start = at
        tag, at = _varint(content, at)
        number, wire = tag >> 3, tag & 7
        if number == 0:
            raise _DamagedError
        body_at = at
        if wire == _VARINT:
            _, at = _varint(content, at)
        elif wire in (_FIXED64, _FIXED32):
            at += 8 if wire == _FIXED64 else 4
        elif wire == _BYTES:
            length, body_at = _varint(content, at)
            at = body_at + length
        else:
            raise _DamagedError
        if at > len(content):
            raise _DamagedError
        yield _Field(number, content[start:at], content[body_at:at] if wire == _BYTES else b"")


def _varint(content: bytes, at: int) -> tuple[int, int]:
    value = 0
    for place in range(_MAX_VARINT_BYTES):
        if at + place >= len(content):
            raise _DamagedError
        byte = content[at + place]
        value |= (byte & 0x7F) << (7 * place)
        if byte < 0x80:
            return value, at + place + 1
    raise _DamagedError


def _delimited(number: int, body: bytes) -> bytes:
    return _as_varint(number << 3 | _BYTES) + _as_varint(len(body)) + body


def _as_varint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _texts(body: bytes, number: int) -> list[str]:
    return [
        field.body.decode(errors="replace") for field in _fields(body) if field.number == number
    ]


def _text(body: bytes, number: int) -> str:
    return next(iter(_texts(body, number)), "")


def _kind(node: _Field) -> str:
    return _text(node.body, _NODE_KIND)
