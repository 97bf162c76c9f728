"""From a trained network's plain ONNX to the serving form; graph surgery only, no training stack.

The serving form takes the letterboxed picture as it lies in memory: uint8, ``(N, H, W, 3)``, BGR.
Channel swap and scale go into the first convolution's weights, and YOLOX's Focus (four strided
slices, a concatenation and a 3 x 3 convolution) becomes one 6 x 6 convolution of stride 2. Both
are exact up to rounding.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper, version_converter

from shopfloor_models.errors import ExportError

Weights = NDArray[np.float32]
MIN_OPSET = 13
"""The first with one scale per channel."""
FOCUS_PARTS = 4


def fold_file(source: Path, out: Path, *, swap_colours: bool = False, scale: float = 1.0) -> None:
    """Write the serving form of ``source``.

    Raises:
        ExportError: no ONNX, or its first layers are of a kind that cannot be folded into.
    """
    onnx.save(fold(load_model(source), swap_colours=swap_colours, scale=scale), out)


def load_model(path: Path) -> onnx.ModelProto:
    """Read a file.

    Raises:
        ExportError: it is no ONNX.
    """
    try:
        return onnx.load(path)
    except (OSError, ValueError, TypeError) as e:
        raise ExportError(f"{path}: not an ONNX model: {e}") from e
    except Exception as e:  # protobuf's DecodeError has no public base class
        raise ExportError(f"{path}: not an ONNX model") from e


def fold(
    model: onnx.ModelProto, *, swap_colours: bool = False, scale: float = 1.0
) -> onnx.ModelProto:
    """Return the serving form of a float NCHW model.

    Args:
        model: one float32 input ``(N, 3, H, W)``.
        swap_colours: the network was trained on RGB; the serving form takes BGR.
        scale: the factor between 0–255 pixels and what the network was trained on.

    Raises:
        ExportError: the input isn't that, or something other than one convolution reads it.
    """
    folded = modern(model)
    graph = folded.graph
    _check_input(graph)
    constants = _constants(graph)
    conv, weights = _merge_focus(graph, constants) or _first_conv(graph, constants)
    if swap_colours:
        weights = weights[:, ::-1]
    _set_weights(graph, conv, weights * np.float32(scale))
    _take_pixels(graph, conv)
    prune(graph)
    onnx.checker.check_model(folded)
    return folded


def modern(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a copy of at least opset 13, with constants that are no inputs."""
    version = next(o.version for o in model.opset_import if o.domain in ("", "ai.onnx"))
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    if version < MIN_OPSET:
        copy = version_converter.convert_version(copy, 17)
    copy.ir_version = max(copy.ir_version, 8)
    constants = {value.name for value in copy.graph.initializer}
    inputs = [value for value in copy.graph.input if value.name not in constants]
    del copy.graph.input[:], copy.graph.value_info[:]
    copy.graph.input.extend(inputs)
    return copy


def _check_input(graph: onnx.GraphProto) -> None:
    found = [value.type.tensor_type for value in graph.input]
    if len(found) != 1:
        raise ExportError(f"the network has {len(found)} inputs, expected one picture")
    sizes = [d.dim_value for d in found[0].shape.dim]
    if found[0].elem_type != TensorProto.FLOAT or len(sizes) != 4 or sizes[1] != 3:
        kind = TensorProto.DataType.Name(found[0].elem_type).lower()
        raise ExportError(f"the network's input is {kind} {sizes}, expected float [N, 3, H, W]")


def _constants(graph: onnx.GraphProto) -> dict[str, NDArray[np.generic]]:
    values = {value.name: numpy_helper.to_array(value) for value in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            values[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)
    return values


def _readers(graph: onnx.GraphProto, name: str) -> list[onnx.NodeProto]:
    return [node for node in graph.node if name in node.input]


def _first_conv(
    graph: onnx.GraphProto, constants: dict[str, NDArray[np.generic]]
) -> tuple[onnx.NodeProto, Weights]:
    readers = _readers(graph, graph.input[0].name)
    if [node.op_type for node in readers] != ["Conv"] or readers[0].input[1] not in constants:
        kinds = ", ".join(sorted({node.op_type for node in readers})) or "nothing"
        raise ExportError(f"the picture is read by {kinds}, expected one Conv or YOLOX's Focus")
    return readers[0], constants[readers[0].input[1]].astype(np.float32)


def _merge_focus(
    graph: onnx.GraphProto, constants: dict[str, NDArray[np.generic]]
) -> tuple[onnx.NodeProto, Weights] | None:
    """Turn Focus into one convolution; None where the network does not begin with it."""
    makers = {name: node for node in graph.node for name in node.output}
    for concat in graph.node:
        if concat.op_type != "Concat" or len(concat.input) != FOCUS_PARTS:
            continue
        parts = [_offset(name, graph.input[0].name, makers, constants) for name in concat.input]
        readers = _readers(graph, concat.output[0])
        offsets = [part for part in parts if part is not None]
        if len(offsets) == FOCUS_PARTS and len(readers) == 1 and _is_plain_3x3(readers[0]):
            weights = constants[readers[0].input[1]].astype(np.float32)
            del readers[0].attribute[:]
            readers[0].attribute.extend(
                [
                    helper.make_attribute("kernel_shape", [6, 6]),
                    helper.make_attribute("strides", [2, 2]),
                    helper.make_attribute("pads", [2, 2, 2, 2]),
                ]
            )
            return readers[0], _spread(weights, offsets)
    return None


def _spread(weights: Weights, offsets: list[tuple[int, int]]) -> Weights:
    """Interleave ``(O, 12, 3, 3)`` on quarters into ``(O, 3, 6, 6)`` on the whole picture."""
    whole = np.zeros((len(weights), 3, 6, 6), np.float32)
    for part, (down, right) in enumerate(offsets):
        whole[:, :, down::2, right::2] = weights[:, 3 * part : 3 * part + 3]
    return whole


def _offset(
    name: str,
    picture: str,
    makers: dict[str, onnx.NodeProto],
    constants: dict[str, NDArray[np.generic]],
) -> tuple[int, int] | None:
    """Return ``(row, column)`` where a quarter begins; None if ``name`` is no quarter."""
    begins: dict[int, int] = {}
    while name != picture:
        node = makers.get(name)
        if node is None or node.op_type != "Slice" or len(node.input) != 5:
            return None
        starts, ends, axes, steps = (constants[value].tolist() for value in node.input[1:])
        for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
            if axis not in (2, 3) or axis in begins or step != 2 or end < 1 << 16:
                return None
            begins[axis] = start
        name = node.input[0]
    if set(begins) != {2, 3} or not set(begins.values()) <= {0, 1}:
        return None
    return begins[2], begins[3]


def _is_plain_3x3(node: onnx.NodeProto) -> bool:
    found = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    return (
        node.op_type == "Conv"
        and found.get("kernel_shape") == [3, 3]
        and found.get("pads") == [1, 1, 1, 1]
        and found.get("strides", [1, 1]) == [1, 1]
        and found.get("dilations", [1, 1]) == [1, 1]
        and found.get("group", 1) == 1
    )


def _set_weights(graph: onnx.GraphProto, conv: onnx.NodeProto, weights: Weights) -> None:
    name = f"{conv.input[1]}_folded"
    graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(weights), name))
    conv.input[1] = name


def _take_pixels(graph: onnx.GraphProto, conv: onnx.NodeProto) -> None:
    """Make the input uint8 NHWC, and turn and cast it before the first convolution."""
    picture = graph.input[0]
    dims = picture.type.tensor_type.shape.dim
    sizes = [dims[axis].dim_value or dims[axis].dim_param or None for axis in (0, 2, 3, 1)]
    picture.CopyFrom(helper.make_tensor_value_info(picture.name, TensorProto.UINT8, sizes))
    turned, pixels = f"{picture.name}_nchw", f"{picture.name}_float"
    nodes = [
        # Turning bytes moves a quarter of what turning floats would.
        helper.make_node("Transpose", [picture.name], [turned], "turn", perm=[0, 3, 1, 2]),
        helper.make_node("Cast", [turned], [pixels], "cast", to=TensorProto.FLOAT),
        *graph.node,
    ]
    conv.input[0] = pixels
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del graph.node[:]
    graph.node.extend(copies)


def prune(graph: onnx.GraphProto) -> None:
    """Drop the nodes and constants that nothing reads any more."""
    wanted = {value.name for value in graph.output}
    kept = []
    for node in reversed(graph.node):
        if wanted.intersection(node.output):
            kept.append(onnx.NodeProto.FromString(node.SerializeToString()))
            wanted.update(node.input)
    constants = [value for value in graph.initializer if value.name in wanted]
    constants = [onnx.TensorProto.FromString(value.SerializeToString()) for value in constants]
    del graph.node[:], graph.initializer[:]
    graph.node.extend(reversed(kept))
    graph.initializer.extend(constants)
