"""Static INT8 with Q/DQ nodes, which layers stay float, and what each layer costs in accuracy."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationMethod, QuantType
from onnxruntime.quantization.calibrate import TensorsData
from onnxruntime.quantization.qdq_quantizer import QDQQuantizer

from shopfloor_models.errors import ExportError
from shopfloor_models.export.calibration import Observed, Range, observe, open_session
from shopfloor_models.export.equalise import UNSCALED
from shopfloor_models.export.letterbox import Pixels

QUANTISED_OPS = ("Conv", "Sigmoid", "Mul", "Add", "Concat", "MaxPool", "Resize")


@dataclass(frozen=True, slots=True)
class Scheme:
    """How a runtime wants its integers."""

    signed_activations: bool
    """TensorRT takes nothing else, and symmetric ranges only."""
    reduce_range: bool
    """Weights of 7 bits: without VNNI, products of 8 bits saturate."""
    quantise_bias: bool
    ops: tuple[str, ...] = QUANTISED_OPS


CPU = Scheme(signed_activations=False, reduce_range=True, quantise_bias=True)
TENSORRT = Scheme(signed_activations=True, reduce_range=False, quantise_bias=False)


def prepare(model: onnx.ModelProto, folder: Path) -> onnx.ModelProto:
    """Fold constants and name every node; ``folder`` is for a temporary file.

    Raises:
        ExportError: onnxruntime cannot load the network.
    """
    path = folder / "prepared.onnx"
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(path)
    options.log_severity_level = 3
    try:
        onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
    except Exception as e:  # onnxruntime's classes have no common base
        reason = str(e).splitlines()[0]
        raise ExportError(f"onnxruntime cannot load the network: {reason}") from e
    plain = onnx.load(path)
    path.unlink()
    for number, node in enumerate(plain.graph.node):
        node.name = node.name or f"{node.op_type}_{number}"
    return onnx.shape_inference.infer_shapes(plain)


def watch(model: onnx.ModelProto, pictures: Pixels) -> Observed:
    """Observe every float tensor of a prepared model."""
    graph = model.graph
    floats = {
        value.name
        for value in [*graph.value_info, *graph.output]
        if value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT
    }
    tensors = [name for node in graph.node for name in node.output if name in floats]
    return observe(model, tensors, pictures)


def quantise(
    model: onnx.ModelProto,
    ranges: dict[str, Range],
    *,
    scheme: Scheme,
    keep_float: Collection[str],
) -> onnx.ModelProto:
    """Return ``model`` with Q/DQ around every node that is not in ``keep_float``."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    kind = QuantType.QInt8 if scheme.signed_activations else QuantType.QUInt8
    quantizer = QDQQuantizer(
        copy,
        per_channel=True,
        reduce_range=scheme.reduce_range,
        weight_qType=QuantType.QInt8,
        activation_qType=kind,
        tensors_range=TensorsData(CalibrationMethod.MinMax, dict(ranges)),
        nodes_to_quantize=[],
        nodes_to_exclude=sorted(keep_float),
        op_types_to_quantize=list(scheme.ops),
        extra_options={
            "ActivationSymmetric": scheme.signed_activations,
            "WeightSymmetric": True,
            "QuantizeBias": scheme.quantise_bias,
        },
    )
    quantizer.quantize_model()
    quantised: onnx.ModelProto = quantizer.model.model
    return quantised


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """What quantising one layer alone does to the network's output."""

    layer: str
    error: float
    """Mean absolute difference from float, weighted by each row's score."""


def layers(model: onnx.ModelProto) -> dict[str, tuple[str, ...]]:
    """Return each convolution with the activation that follows it, by the convolution's name.

    What takes equal channels back before the sigmoid belongs to the activation.
    """
    nodes = list(model.graph.node)
    found: dict[str, tuple[str, ...]] = {}
    for conv in nodes:
        if conv.op_type == "Conv" and not conv.output[0].endswith(UNSCALED):
            out = conv.output[0]
            names = (out, f"{out}{UNSCALED}")
            own = [n for n in nodes if n.op_type == "Conv" and n.output[0] == names[1]]
            gates = [n for n in nodes if n.op_type == "Sigmoid" and n.input[0] in names]
            products = [n for n in nodes if n.op_type == "Mul" and out in n.input]
            found[conv.name] = (conv.name, *(n.name for n in [*own, *gates, *products]))
    return found


def tail(model: onnx.ModelProto) -> frozenset[str]:
    """Return the nodes after the last convolutions, and these: boxes and scores are made here."""
    before: set[str] = set()
    names: set[str] = set()
    for node in reversed(model.graph.node):
        leads_on = not before.isdisjoint(node.output)
        if not leads_on:
            names.add(node.name)
        if leads_on or node.op_type == "Conv":
            before.update(node.input)
    return frozenset(names)


def sensitivities(
    model: onnx.ModelProto, ranges: dict[str, Range], pictures: Pixels, *, scheme: Scheme
) -> list[Sensitivity]:
    """Quantise one layer at a time and measure the output on ``pictures``; worst first."""
    everything = {node.name for node in model.graph.node}
    expected = outputs(model, pictures)
    # No score at all would leave nothing to weigh with.
    weights = expected[..., 4] + np.float32(1e-6)
    found = []
    for layer, names in layers(model).items():
        alone = quantise(model, ranges, scheme=scheme, keep_float=everything.difference(names))
        error = np.abs(outputs(alone, pictures) - expected).mean(axis=-1)
        found.append(Sensitivity(layer, float(np.average(error, weights=weights))))
    return sorted(found, key=lambda one: (-one.error, one.layer))


def outputs(model: onnx.ModelProto, pictures: Pixels) -> NDArray[np.float32]:
    """Run ``pictures`` one by one; the first output of each, stacked."""
    session = open_session(model)
    name = session.get_inputs()[0].name
    return np.concatenate([session.run(None, {name: one[None]})[0] for one in pictures])


def float_layers(
    model: onnx.ModelProto, found: Sequence[Sensitivity], *, worst: int
) -> frozenset[str]:
    """Return the nodes that stay float: the tail, and the ``worst`` layers of the report."""
    of_layer = layers(model)
    nodes = [name for one in found[:worst] for name in of_layer[one.layer]]
    return tail(model).union(nodes)
