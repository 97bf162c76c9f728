"""A TFLite file, tensor by tensor and operator by operator; knows nothing of networks.

The tables' classes are those that ai-edge-litert generates from TFLite's schema.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shopfloor_models.errors import MissingExtraError

IDENTIFIER = b"TFL3"
SCHEMA_VERSION = 3


@dataclass(frozen=True, slots=True)
class Scale:
    """Real = (integer - zero) * step, with one step for all or one per channel."""

    step: NDArray[np.float32]
    """``(1,)``, or ``(channels,)``."""
    zero: int = 0
    axis: int = 0
    """The channels' axis where there is more than one step."""


class TfliteFile:
    """A model of one subgraph that grows; tensors are numbered in the order of their making."""

    def __init__(self) -> None:
        """Begin an empty one.

        Raises:
            MissingExtraError: ai-edge-litert is not installed.
        """
        try:
            self._schema: Any = importlib.import_module("ai_edge_litert.schema_py_generated")
            self._flatbuffers: Any = importlib.import_module("flatbuffers")
        except ImportError as e:
            raise MissingExtraError("ai-edge-litert", "litert") from e
        self._graph = self._schema.SubGraphT()
        self._graph.name, self._graph.tensors, self._graph.operators = "main", [], []
        # The schema reserves the first buffer for tensors without content.
        self._buffers = [self._schema.BufferT()]
        self._codes: dict[str, int] = {}

    def tensor(
        self,
        name: str,
        shape: Sequence[int],
        *,
        scale: Scale | None = None,
        content: NDArray[Any] | None = None,
        kind: str = "INT8",
    ) -> int:
        """Add a tensor and return its number."""
        made = self._schema.TensorT()
        made.name, made.shape, made.buffer = name, list(shape), 0
        made.type = getattr(self._schema.TensorType, kind)
        if content is not None:
            made.buffer = len(self._buffers)
            buffer = self._schema.BufferT()
            buffer.data = np.frombuffer(np.ascontiguousarray(content).tobytes(), np.uint8)
            self._buffers.append(buffer)
        if scale is not None:
            made.quantization = self._schema.QuantizationParametersT()
            made.quantization.scale = scale.step.astype(np.float32)
            made.quantization.zeroPoint = np.full(scale.step.size, scale.zero, np.int64)
            made.quantization.quantizedDimension = scale.axis
        self._graph.tensors.append(made)
        return len(self._graph.tensors) - 1

    def operator(
        self,
        kind: str,
        inputs: Sequence[int],
        output: int,
        *,
        options: str = "",
        version: int = 1,
        **values: object,
    ) -> None:
        """Add an operator; ``values`` are the fields of its ``options`` table."""
        made = self._schema.OperatorT()
        made.opcodeIndex = self._codes.setdefault(f"{kind} {version}", len(self._codes))
        made.inputs, made.outputs = list(inputs), [output]
        if options:
            table = getattr(self._schema, f"{options}T")()
            for name, value in values.items():
                setattr(table, name, value)
            made.builtinOptionsType = getattr(self._schema.BuiltinOptions, options)
            made.builtinOptions = table
        self._graph.operators.append(made)

    def serialise(self, *, inputs: Sequence[int], outputs: Sequence[int]) -> bytes:
        """Return the file; the same content gives the same bytes."""
        self._graph.inputs, self._graph.outputs = list(inputs), list(outputs)
        model = self._schema.ModelT()
        model.version, model.description = SCHEMA_VERSION, "shopfloor"
        model.subgraphs, model.buffers = [self._graph], self._buffers
        model.operatorCodes = [self._code(*code.split()) for code in self._codes]
        builder = self._flatbuffers.Builder(1 << 20)
        builder.Finish(model.Pack(builder), file_identifier=IDENTIFIER)
        return bytes(builder.Output())

    def _code(self, kind: str, version: str) -> Any:
        code = self._schema.OperatorCodeT()
        code.builtinCode = getattr(self._schema.BuiltinOperator, kind)
        # Old readers know the first 127 codes in a field of one byte.
        code.deprecatedBuiltinCode = min(code.builtinCode, 127)
        code.version = int(version)
        return code
