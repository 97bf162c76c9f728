"""What can be written as full-integer TFLite, and which integer step each tensor gets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from shopfloor_models.errors import ExportError
from shopfloor_models.export.calibration import Range
from shopfloor_models.export.onnx_fold import prune
from shopfloor_models.export.tflite_file import Scale

TARGET = "litert-int8"
LOW, HIGH = -128, 127
SIGMOID = Scale(np.array([1 / 256], np.float32), LOW)
"""What TFLite's LOGISTIC demands of its int8 output."""
OUTPUTS = ("xy", "wh", "scores")
"""Offsets ``(1, A, 2)``, log sizes ``(1, A, 2)``, objectness and classes ``(1, A, 1 + C)``."""
PARTS = 3
PIXELS = Scale(np.array([1.0], np.float32), LOW)
OPERATORS = frozenset(
    ["Conv", "Sigmoid", "Mul", "Add", "Concat", "MaxPool", "Resize", "Reshape", "Transpose", "Cast"]
)
"""Each has an integer operator that the Edge TPU's compiler maps, or vanishes in NHWC."""
SHARING = ("Concat", "MaxPool", "Resize", "Reshape", "Transpose")
"""Operators whose inputs and output need one step in TFLite."""


def refuse_unsupported(graph: onnx.GraphProto) -> None:
    """Raise for the first operator that this target lacks.

    Raises:
        ExportError: there is one; names it, its node and the target.
    """
    for node in graph.node:
        if node.op_type not in OPERATORS:
            raise ExportError(
                f"{TARGET}: operator {node.op_type} ({node.name or node.output[0]}) is not "
                f"supported, expected only {', '.join(sorted(OPERATORS))}"
            )


def split_head(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a prepared network whose rows come as ``OUTPUTS`` instead of joined.

    Raises:
        ExportError: the network does not end as YOLOX does.
    """
    split = onnx.ModelProto()
    split.CopyFrom(model)
    graph = split.graph
    parts: dict[str, list[str]] = {name: [] for name in OUTPUTS}
    for number, (boxes, objectness, classes) in enumerate(_levels(graph)):
        conv = next(node for node in graph.node if boxes in node.output)
        for name, rows in (("xy", slice(0, 2)), ("wh", slice(2, 4))):
            parts[name].append(_part_of(graph, conv, rows, f"{name}_{number}"))
        joint = f"scores_{number}"
        _add(graph, "Concat", [objectness, classes], joint, axis=1)
        parts["scores"].append(joint)
    del graph.output[:], graph.value_info[:]
    for name in OUTPUTS:
        for source in parts[name]:
            _add(graph, "Reshape", [source, _rows_shape(graph)], f"{source}_rows")
        _add(
            graph, "Concat", [f"{source}_rows" for source in parts[name]], f"{name}_turned", axis=2
        )
        _add(graph, "Transpose", [f"{name}_turned"], name, perm=[0, 2, 1])
        graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, None))
    prune(graph)
    return onnx.shape_inference.infer_shapes(split)


def _levels(graph: onnx.GraphProto) -> list[list[str]]:
    """Return boxes, objectness and classes of each level, in the order of their rows."""
    makers = {name: node for node in graph.node for name in node.output}

    def inputs(name: str, kind: str) -> list[str]:
        node = makers.get(name)
        if node is None or node.op_type != kind:
            found = "nothing" if node is None else node.op_type
            raise ExportError(
                f"{TARGET}: the network ends in {found}, expected {kind} of YOLOX's raw head"
            )
        return list(node.input)

    rows = inputs(inputs(graph.output[0].name, "Transpose")[0], "Concat")
    levels = [inputs(inputs(name, "Reshape")[0], "Concat") for name in rows]
    for level in levels:
        if len(level) != PARTS:
            raise ExportError(f"{TARGET}: a level has {len(level)} parts, expected YOLOX's {PARTS}")
        inputs(level[0], "Conv")
    return levels


def _add(graph: onnx.GraphProto, kind: str, inputs: list[str], out: str, **values: Any) -> None:
    graph.node.append(helper.make_node(kind, inputs, [out], out, **values))


def _part_of(graph: onnx.GraphProto, conv: onnx.NodeProto, rows: slice, out: str) -> str:
    """Add a convolution that makes some channels of ``conv``'s."""
    constants = {c.name: c for c in graph.initializer}
    inputs = [conv.input[0]]
    for name in conv.input[1:]:
        values = numpy_helper.to_array(constants[name])[rows]
        graph.initializer.append(numpy_helper.from_array(values, f"{out}:{name}"))
        inputs.append(f"{out}:{name}")
    _add(graph, "Conv", inputs, out, **attributes(conv))
    return out


def _rows_shape(graph: onnx.GraphProto) -> str:
    """Return the constant ``(0, 0, -1)``: picture and channels as they are, cells in one row."""
    name = "rows_shape"
    if all(c.name != name for c in graph.initializer):
        graph.initializer.append(numpy_helper.from_array(np.array([0, 0, -1], np.int64), name))
    return name


def integer_scales(graph: onnx.GraphProto, ranges: Mapping[str, Range]) -> dict[str, Scale]:
    """Return the int8 step of each tensor in ``ranges``; sharing operators have one for all."""
    group = {name: name for name in ranges}

    def root(name: str) -> str:
        while group[name] != name:
            name = group[name]
        return name

    for node in graph.node:
        if node.op_type in SHARING:
            names = [n for n in [*node.input, *node.output] if n in group]
            for name in names[1:]:
                group[root(name)] = root(names[0])
    members: dict[str, list[Range]] = {}
    for name in ranges:
        members.setdefault(root(name), []).append(ranges[name])
    scales = {name: asymmetric(found) for name, found in members.items()}
    for node in graph.node:
        if node.op_type == "Sigmoid":
            scales[root(node.output[0])] = SIGMOID
    return {name: scales[root(name)] for name in ranges}


def asymmetric(ranges: Iterable[Range]) -> Scale:
    """Return the step that covers all ranges and zero itself, exactly."""
    found = list(ranges)
    low = min(0.0, *(float(one[0]) for one in found))
    high = max(0.0, *(float(one[1]) for one in found))
    step = max((high - low) / (HIGH - LOW), 1e-8)
    zero = int(np.clip(round(LOW - low / step), LOW, HIGH))
    return Scale(np.array([step], np.float32), zero)


def attributes(node: onnx.NodeProto) -> dict[str, Any]:
    """Return a node's attributes by name."""
    return {a.name: helper.get_attribute_value(a) for a in node.attribute}
