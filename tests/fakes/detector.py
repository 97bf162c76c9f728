"""A detector and a clip made here: tests that need no weights and no footage."""

import hashlib

import cv2
import numpy as np
import onnx
from onnx import TensorProto, helper


def make_zoo(folder, *, box=(10, 10, 40, 60)):
    """Make ``zoo.toml`` and ``models/tiny.onnx``: one person, always in the same place."""
    boxes = np.zeros((1, 300, 6), np.float32)
    boxes[0, 0] = [*box, 0.9, 0]
    path = folder / "models" / "tiny.onnx"
    write_model(path, boxes)
    write_zoo(folder / "zoo.toml", hashlib.sha256(path.read_bytes()).hexdigest())
    return folder


def zoo_environment(folder, cache):
    return {
        "SHOPFLOOR_ZOO": str(folder / "zoo.toml"),
        "SHOPFLOOR_MIRROR": str(folder),
        "SHOPFLOOR_CACHE": str(cache),
    }


def make_clip(path, *, frames):
    """Write grey noise as MJPEG, 128 x 96 at 10 fps."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10, (128, 96))
    assert writer.isOpened()
    random = np.random.default_rng(0)
    for _ in range(frames):
        writer.write(random.integers(0, 255, (96, 128, 3), np.uint8))
    writer.release()
    return path


def write_model(path, boxes):
    path.parent.mkdir(parents=True, exist_ok=True)
    constant = helper.make_tensor("boxes", TensorProto.FLOAT, boxes.shape, boxes.ravel())
    graph = helper.make_graph(
        [
            helper.make_node("Constant", [], ["all"], value=constant),
            helper.make_node("Identity", ["all"], ["out"]),
        ],
        "tiny",
        [helper.make_tensor_value_info("in", TensorProto.UINT8, [1, 64, 64, 3])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, list(boxes.shape))],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 9
    onnx.save(model, path)


def write_zoo(path, digest, *, head="end2end"):
    path.write_text(f"""[[bundle]]
name = "person-nano"
version = "0"
task = "detect"
licence = "Apache-2.0"
source = "test"
classes = ["person"]
head = "{head}"
[bundle.preprocess]
width_px = 64
height_px = 64
layout = "nhwc-uint8"
colour = "bgr"
letterbox = "top-left"
[[bundle.builds]]
target = "onnx-fp32"
file = "tiny.onnx"
sha256 = "{digest}"
size_bytes = 1000
""")
