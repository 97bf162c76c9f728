"""From a float network to full-integer TFLite: int8 in and out, every operator one of integers.

Written operator by operator from the ONNX: converters of whole frameworks take gigabytes, and
hide which range each tensor got. The operators are those that the Edge TPU's compiler maps
(coral.ai, "TensorFlow models on the Edge TPU", supported operations).

YOLOX's rows mix offsets, log sizes and scores, and one int8 step over all of them leaves nothing
of the scores. So the file has three outputs with a step each; side by side, in the file's order,
they are the head's rows, which is what a device makes of several outputs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from shopfloor_models.errors import ExportError
from shopfloor_models.export.calibration import Range
from shopfloor_models.export.litert_plan import (
    HIGH,
    PIXELS,
    TARGET,
    attributes,
    integer_scales,
)
from shopfloor_models.export.tflite_file import Scale, TfliteFile

SAME, VALID = 0, 1
AHEAD = ("Transpose", "Cast")


def write(model: onnx.ModelProto, ranges: Mapping[str, Range]) -> bytes:
    """Return the file for a prepared serving form.

    Args:
        model: uint8 NHWC in, constants folded, YOLOX's head split.
        ranges: of each float tensor, on real pictures.

    Raises:
        ExportError: an operator, or a use of one, that this target lacks.
        MissingExtraError: ai-edge-litert is not installed.
    """
    return _Translation(model, ranges).write()


class _Translation:
    """ONNX names to TFLite tensors, while a file grows."""

    def __init__(self, model: onnx.ModelProto, ranges: Mapping[str, Range]) -> None:
        self.file = TfliteFile()
        self.constants = {c.name: numpy_helper.to_array(c) for c in model.graph.initializer}
        self.scales = integer_scales(model.graph, ranges)
        self.made: dict[str, int] = {}
        self._graph = model.graph
        self.sizes = {
            value.name: [d.dim_value for d in value.type.tensor_type.shape.dim]
            for value in [*model.graph.value_info, *model.graph.input, *model.graph.output]
        }

    def write(self) -> bytes:
        """Translate every node, in order."""
        picture = self._graph.input[0].name
        given = self.file.tensor("images", self.sizes[picture], scale=PIXELS)
        self.made[picture] = given
        for node in self._graph.node:
            if node.op_type in AHEAD and self.made.get(node.input[0]) == given:
                # Pixels lie as TFLite wants them already.
                self.made[node.output[0]] = given
                self.scales[node.output[0]] = PIXELS
            else:
                WRITERS[node.op_type](self, node)
        outputs = [self.made[one.name] for one in self._graph.output]
        return self.file.serialise(inputs=[given], outputs=outputs)

    def shape(self, name: str) -> list[int]:
        """Return a tensor's sizes, channels last."""
        first, channels, *rest = self.sizes[name]
        return [first, *rest, channels]

    def new(self, name: str) -> int:
        """Add the activation that ONNX calls ``name``."""
        self.made[name] = self.file.tensor(name, self.shape(name), scale=self.scales[name])
        return self.made[name]

    def numbers(self, name: str, values: Sequence[Any]) -> int:
        """Add a constant of int32."""
        content = np.asarray(values, np.int32)
        return self.file.tensor(name, content.shape, content=content, kind="INT32")


def _conv(to: _Translation, node: onnx.NodeProto) -> None:
    found, weights = attributes(node), to.constants[node.input[1]]
    group = found.get("group", 1)
    if group not in (1, len(weights)):
        raise ExportError(f"{TARGET}: Conv of {group} groups ({node.name}) is not supported")
    depthwise = group != 1
    taken, padding = _pad(to, node)
    down, right = _pair(found.get("strides", [1, 1]))
    strides = {"padding": padding, "strideH": down, "strideW": right}
    if depthwise:
        strides["depthMultiplier"] = 1
    to.file.operator(
        "DEPTHWISE_CONV_2D" if depthwise else "CONV_2D",
        [taken, *_weights(to, node, depthwise=depthwise)],
        to.new(node.output[0]),
        options="DepthwiseConv2DOptions" if depthwise else "Conv2DOptions",
        version=3,
        **strides,
    )


def _weights(to: _Translation, node: onnx.NodeProto, *, depthwise: bool) -> tuple[int, int]:
    """Add int8 weights and the int32 bias, whose step is that of the sums."""
    name, weights = node.output[0], to.constants[node.input[1]]
    bias = to.constants[node.input[2]] if len(node.input) > 2 else np.zeros(len(weights))
    integers, steps = per_channel(weights)
    # OIHW to OHWI, and to 1HWO for depthwise, where I is 1.
    turned = integers.transpose(1, 2, 3, 0) if depthwise else integers.transpose(0, 2, 3, 1)
    scale = Scale(steps, axis=3 if depthwise else 0)
    kernel = to.file.tensor(f"{name}:weights", turned.shape, scale=scale, content=turned)
    sums = Scale(steps * to.scales[node.input[0]].step)
    limit = 2**31 - 1
    whole = np.clip(np.round(bias / sums.step), -limit, limit).astype(np.int32)
    offset = to.file.tensor(f"{name}:bias", whole.shape, scale=sums, content=whole, kind="INT32")
    return kernel, offset


def per_channel(weights: NDArray[Any]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Return symmetric int8 and a step for each of the first axis."""
    largest = np.abs(weights).reshape(len(weights), -1).max(axis=1)
    steps = np.maximum(largest / HIGH, 1e-12).astype(np.float32)
    integers = np.round(weights / steps[:, None, None, None])
    return np.clip(integers, -HIGH, HIGH).astype(np.int8), steps


def _pad(to: _Translation, node: onnx.NodeProto) -> tuple[int, int]:
    """Return the tensor to read, padded where TFLite's own padding lies elsewhere."""
    found = attributes(node)
    source = node.input[0]
    if any(one != 1 for one in _pair(found.get("dilations", [1, 1]))):
        raise ExportError(f"{TARGET}: {node.op_type} with dilation ({node.name}) is not supported")
    kernel, strides = _pair(found["kernel_shape"]), _pair(found.get("strides", [1, 1]))
    pads = found.get("pads", [0, 0, 0, 0])
    top, left, bottom, right = (int(one) for one in pads)
    _, height, width, _ = sizes = to.shape(source)
    if (top, bottom) == _same(height, kernel[0], strides[0]) and (left, right) == _same(
        width, kernel[1], strides[1]
    ):
        return to.made[source], SAME
    if not any((top, left, bottom, right)):
        return to.made[source], VALID
    name = f"{node.output[0]}:padded"
    sizes = [sizes[0], height + top + bottom, width + left + right, sizes[3]]
    padded = to.file.tensor(name, sizes, scale=to.scales[source])
    amounts = to.numbers(f"{name}:amounts", [[0, 0], [top, bottom], [left, right], [0, 0]])
    to.file.operator("PAD", [to.made[source], amounts], padded, options="PadOptions", version=2)
    return padded, VALID


def _same(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Return what TFLite's SAME puts before and after."""
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


def _pair(value: Sequence[int]) -> tuple[int, int]:
    first, second = value
    return int(first), int(second)


def _sigmoid(to: _Translation, node: onnx.NodeProto) -> None:
    to.file.operator("LOGISTIC", [to.made[node.input[0]]], to.new(node.output[0]), version=2)


def _two(kind: str, options: str) -> Writer:
    def writer(to: _Translation, node: onnx.NodeProto) -> None:
        for name in node.input:
            if name not in to.made:
                raise ExportError(
                    f"{TARGET}: {node.op_type} with a constant ({node.name}) is not supported"
                )
        inputs = [to.made[name] for name in node.input]
        to.file.operator(kind, inputs, to.new(node.output[0]), options=options, version=2)

    return writer


def _concat(to: _Translation, node: onnx.NodeProto) -> None:
    # NCHW's axis 1 is NHWC's last; of rows (N, C, A) the last is the cells'.
    dims = len(to.sizes[node.output[0]])
    axis = dims - 1 if attributes(node)["axis"] == 1 else 1
    to.file.operator(
        "CONCATENATION",
        [to.made[name] for name in node.input],
        to.new(node.output[0]),
        options="ConcatenationOptions",
        version=2,
        axis=axis,
    )


def _reshape(to: _Translation, node: onnx.NodeProto) -> None:
    before, after = to.sizes[node.input[0]], to.sizes[node.output[0]]
    if len(before) != 4 or len(after) != 3 or before[1] != after[1]:
        raise ExportError(
            f"{TARGET}: Reshape of {before} to {after} ({node.name}) is not supported, expected "
            "a picture's cells in one row"
        )
    shape = to.shape(node.output[0])
    to.file.operator(
        "RESHAPE",
        [to.made[node.input[0]], to.numbers(f"{node.output[0]}:shape", shape)],
        to.new(node.output[0]),
        options="ReshapeOptions",
        newShape=shape,
    )


def _transpose(to: _Translation, node: onnx.NodeProto) -> None:
    if attributes(node)["perm"] != [0, 2, 1]:
        raise ExportError(f"{TARGET}: Transpose ({node.name}) is supported at the end only")
    # Channels are last already: the same tensor under another name.
    to.made[node.output[0]] = to.made[node.input[0]]


def _max_pool(to: _Translation, node: onnx.NodeProto) -> None:
    found = attributes(node)
    (height, width), (down, right) = _pair(found["kernel_shape"]), _pair(found["strides"])
    taken, padding = _pad(to, node)
    if taken != to.made[node.input[0]]:
        raise ExportError(f"{TARGET}: MaxPool with these pads ({node.name}) is not supported")
    to.file.operator(
        "MAX_POOL_2D",
        [taken],
        to.new(node.output[0]),
        options="Pool2DOptions",
        version=2,
        padding=padding,
        strideH=down,
        strideW=right,
        filterHeight=height,
        filterWidth=width,
    )


def _resize(to: _Translation, node: onnx.NodeProto) -> None:
    if attributes(node).get("mode", b"nearest") != b"nearest":
        raise ExportError(f"{TARGET}: Resize ({node.name}) is supported for nearest only")
    sizes = to.numbers(f"{node.output[0]}:size", to.shape(node.output[0])[1:3])
    to.file.operator(
        "RESIZE_NEAREST_NEIGHBOR",
        [to.made[node.input[0]], sizes],
        to.new(node.output[0]),
        options="ResizeNearestNeighborOptions",
        version=2,
    )


Writer = Callable[[_Translation, onnx.NodeProto], None]
WRITERS: dict[str, Writer] = {
    "Conv": _conv,
    "Sigmoid": _sigmoid,
    "Mul": _two("MUL", "MulOptions"),
    "Add": _two("ADD", "AddOptions"),
    "Concat": _concat,
    "MaxPool": _max_pool,
    "Resize": _resize,
    "Reshape": _reshape,
    "Transpose": _transpose,
}
