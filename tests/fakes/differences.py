"""A bundle whose network says "more" where a part is brighter than the reference, else "less"."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

CLASSES = ("more", "less")
SIDE = 64
SHARES = (0.25, 0.25, 0.75, 0.75)
"""The box that it always gives."""


def network(*, sure: float = 4.0, side: int = SIDE, classes: int = 2) -> onnx.ModelProto:
    """``sure`` logits per grey level by which the windows' means differ; 0 from none."""
    weights = np.zeros((2, 5 + classes), np.float32)
    weights[:, 5], weights[:, 6] = (-sure, sure), (sure, -sure)
    bias = np.array([*SHARES, *[0.0] * (1 + classes)], np.float32)
    axes = numpy_helper.from_array(np.array([1, 2], np.int64), "axes")
    nodes = [
        helper.make_node("Cast", ["windows"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["pixels", "axes"], ["means"], keepdims=0),
        helper.make_node("Gemm", ["means", "weights", "bias"], ["output"]),
    ]
    graph = helper.make_graph(
        nodes,
        "differences",
        [helper.make_tensor_value_info("windows", TensorProto.UINT8, ["n", side, side, 2])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, ["n", 5 + classes])],
        [
            axes,
            numpy_helper.from_array(weights, "weights"),
            numpy_helper.from_array(bias, "bias"),
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def write_bundle(folder: Path, model: onnx.ModelProto, **changes: object) -> Path:
    """Write an unpacked bundle; ``changes`` replace keys of its manifest."""
    folder.mkdir(parents=True, exist_ok=True)
    content = model.SerializeToString()
    (folder / "net.onnx").write_bytes(content)
    build = {
        "target": "onnx-fp32",
        "file": "net.onnx",
        "sha256": hashlib.sha256(content).hexdigest(),
        "size_bytes": len(content),
    }
    manifest = manifest_of(build) | changes
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def manifest_of(build: dict[str, object]) -> dict[str, object]:
    return {
        "name": "fake-differences",
        "version": "1",
        "task": "classify-differences",
        "licence": "Apache-2.0",
        "source": "tests",
        "classes": list(CLASSES),
        "head": "differences",
        "preprocess": {
            "width_px": SIDE,
            "height_px": SIDE,
            "layout": "nhwc-uint8",
            "colour": "reference-part",
            "letterbox": "centre",
        },
        "builds": [build],
    }
