"""A detector's backbone, cut in the middle, as eyes of a one-class judge; graph surgery only.

The judge's network is one file: grey picture in, backbone, features of two depths side by side,
distance to a bank of good patches, score out. A 1 x 1 convolution with the bank for weights gives
all products at once, so any ONNX runtime will do.
"""

from __future__ import annotations

import math

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper, shape_inference

from shopfloor_models.errors import ExportError
from shopfloor_models.export.onnx_fold import modern, prune
from shopfloor_models.training.one_class import Levels, Memory

STRIDES = (4, 8)
"""Depths that are looked at: fine enough for small defects, deep enough for shapes. On held-out
boards of DeepPCB's train list, of 4, 8, 4 with 8, and 8 with 16, these found most defects."""
CELL = STRIDES[-1]
INPUT, FEATURES, SCORES = "parts", "features", "scores"
REVIEW_LOGIT = math.log(0.2 / 0.8)
"""A judge's default band: 0.2 is for a person, 0.5 fails."""
AXES_ARE_INPUTS = 18
"""From this opset on ReduceMin takes its axes as an input."""


def features(backbone: onnx.ModelProto, *, takes_bytes: bool, scale: float) -> onnx.ModelProto:
    """Return a network from uint8 ``(N, H, W, 1)`` to ``(N, C, H / 8, W / 8)``; any N, H and W.

    Args:
        backbone: a detector, float NCHW or uint8 NHWC, three channels.
        takes_bytes: the second of these.
        scale: factor between 0-255 and a float input.

    Raises:
        ExportError: it has no layers of these strides.
    """
    model = modern(backbone)
    graph = model.graph
    layers = _ends_of_stages(model, takes_bytes=takes_bytes)
    missing = [stride for stride in STRIDES if stride not in layers]
    if missing:
        raise ExportError(f"the network has no layer of stride {missing[0]}")
    given = graph.input[0].name
    nodes = [*_eyes(given, takes_bytes=takes_bytes), *graph.node]
    pooled = []
    for stride in STRIDES:
        around, small = f"around_{stride}", f"patches_{stride}"
        # The mean of a patch and its neighbours: a part need not lie to the pixel.
        nodes.append(_pool(layers[stride], around, 3, step=1, pad=1))
        by = CELL // stride
        if by > 1:
            nodes.append(_pool(around, small, by, step=by, pad=0))
        pooled.append(small if by > 1 else around)
    nodes.append(helper.make_node("Concat", pooled, [FEATURES], axis=1))
    graph.initializer.append(numpy_helper.from_array(np.array(scale, np.float32), "eyes_scale"))
    _finish(
        model,
        nodes,
        helper.make_tensor_value_info(INPUT, TensorProto.UINT8, ["n", "height", "width", 1]),
        helper.make_tensor_value_info(FEATURES, TensorProto.FLOAT, ["n", None, None, None]),
    )
    return model


def scores(eyes: onnx.ModelProto, memory: Memory, limits: Levels) -> onnx.ModelProto:
    """Return the judge's network: ``eyes`` with the distance to ``memory``, as scores in [0, 1].

    A score is 0.2 at the level of review and 0.5 at the level of failing, logistic in between.
    """
    model = onnx.ModelProto()
    model.CopyFrom(eyes)
    count = memory.bank.shape[1]
    slope = -REVIEW_LOGIT / (limits.fail - limits.review)
    constants: dict[str, NDArray[np.float32]] = {
        "mean": memory.mean.reshape(1, -1, 1, 1),
        "spread": memory.spread.reshape(1, -1, 1, 1),
        "bank": -2 * memory.bank[:, :, None, None],
        "bank_squares": (memory.bank**2).sum(1),
        "ones": np.full((1, count, 1, 1), 1, np.float32),
        "count": np.array(count, np.float32),
        "fail": np.array(limits.fail, np.float32),
        "slope": np.array(slope, np.float32),
    }
    for name, value in constants.items():
        model.graph.initializer.append(numpy_helper.from_array(np.asarray(value, np.float32), name))
    nodes = [
        *model.graph.node,
        helper.make_node("Sub", [FEATURES, "mean"], ["centred"]),
        helper.make_node("Div", ["centred", "spread"], ["seen"]),
        helper.make_node("Mul", ["seen", "seen"], ["seen_squares"]),
        helper.make_node("Conv", ["seen_squares", "ones"], ["own"]),
        helper.make_node("Conv", ["seen", "bank", "bank_squares"], ["to_each"]),
        _least(model, "to_each", "to_nearest"),
        helper.make_node("Add", ["own", "to_nearest"], ["squares"]),
        helper.make_node("Relu", ["squares"], ["positive"]),
        helper.make_node("Div", ["positive", "count"], ["each"]),
        helper.make_node("Sqrt", ["each"], ["distance"]),
        helper.make_node("Sub", ["distance", "fail"], ["beyond"]),
        helper.make_node("Mul", ["beyond", "slope"], ["logits"]),
        helper.make_node("Sigmoid", ["logits"], ["odds"]),
        helper.make_node("Squeeze", ["odds", "channel"], [SCORES]),
    ]
    model.graph.initializer.append(numpy_helper.from_array(np.array([1], np.int64), "channel"))
    _finish(
        model,
        nodes,
        model.graph.input[0],
        helper.make_tensor_value_info(SCORES, TensorProto.FLOAT, ["n", None, None]),
    )
    onnx.checker.check_model(model)
    return model


def _ends_of_stages(model: onnx.ModelProto, *, takes_bytes: bool) -> dict[int, str]:
    """Return, per stride, what the first convolution reads that halves it."""
    inferred = shape_inference.infer_shapes(model).graph
    sizes = {
        value.name: [dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in (*inferred.value_info, *inferred.input)
    }
    height = sizes[inferred.input[0].name][1 if takes_bytes else 2]
    ends: dict[int, str] = {}
    for node in inferred.node:
        if node.op_type != "Conv":
            continue
        given, made = sizes.get(node.input[0], []), sizes.get(node.output[0], [])
        if given[2:] and made[2:] and made[2] * 2 == given[2]:
            ends.setdefault(height // given[2], node.input[0])
    return ends


def _eyes(given: str, *, takes_bytes: bool) -> list[onnx.NodeProto]:
    """Grey three times over, in the form that the backbone takes."""
    if takes_bytes:
        return [helper.make_node("Concat", [INPUT] * 3, [given], axis=3)]
    return [
        helper.make_node("Concat", [INPUT] * 3, ["three"], axis=3),
        helper.make_node("Transpose", ["three"], ["turned"], perm=[0, 3, 1, 2]),
        helper.make_node("Cast", ["turned"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["floats", "eyes_scale"], [given]),
    ]


def _pool(given: str, made: str, side: int, *, step: int, pad: int) -> onnx.NodeProto:
    return helper.make_node(
        "AveragePool", [given], [made],
        kernel_shape=[side, side], strides=[step, step], pads=[pad] * 4,
    )  # fmt: skip


def _least(model: onnx.ModelProto, given: str, made: str) -> onnx.NodeProto:
    version = next(o.version for o in model.opset_import if o.domain in ("", "ai.onnx"))
    if version < AXES_ARE_INPUTS:
        return helper.make_node("ReduceMin", [given], [made], axes=[1], keepdims=1)
    return helper.make_node("ReduceMin", [given, "channel"], [made], keepdims=1)


def _finish(
    model: onnx.ModelProto,
    nodes: list[onnx.NodeProto],
    given: onnx.ValueInfoProto,
    made: onnx.ValueInfoProto,
) -> None:
    """Make these the model's nodes, input and output, and drop what they don't need."""
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    ends = [onnx.ValueInfoProto.FromString(end.SerializeToString()) for end in (given, made)]
    graph = model.graph
    del graph.node[:], graph.input[:], graph.output[:], graph.value_info[:]
    graph.node.extend(copies)
    graph.input.append(ends[0])
    graph.output.append(ends[1])
    prune(graph)
