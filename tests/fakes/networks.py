"""Networks like YOLOX, small enough to look through, and pictures for them."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SIZE = 64
FOCUS = ((0, 0), (1, 0), (0, 1), (1, 1))


class Builder:
    """A network like YOLOX, small enough to look through."""

    def __init__(self) -> None:
        self.random = np.random.default_rng(5)
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, value: np.ndarray) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(value, name))
        return name

    def add(self, kind: str, *inputs: str, **attributes: object) -> str:
        out = f"{kind.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [out], out, **attributes))
        return out

    def conv(
        self, name: str, channels: tuple[int, int], *, kernel: int = 3, stride: int = 1
    ) -> str:
        shape = (channels[1], channels[0], kernel, kernel)
        # Predictions stay small: they are log sizes, and a box should fit into the picture.
        gain = 0.05 if channels[1] == 4 else 2.0
        weights = self.random.normal(0, (gain / np.prod(shape[1:])) ** 0.5, shape)
        bias = self.random.normal(0, 0.3, channels[1])
        pads = [kernel // 2] * 4
        return self.add(
            "Conv",
            name,
            self.constant(weights.astype(np.float32)),
            self.constant(bias.astype(np.float32)),
            kernel_shape=[kernel, kernel],
            strides=[stride, stride],
            pads=pads,
        )

    def grouped(self, name: str, groups: int) -> str:
        """Add a 3 x 3 convolution of 16 channels; 16 groups make it depthwise."""
        weights = self.random.normal(0, 0.4, (16, 16 // groups, 3, 3)).astype(np.float32)
        inputs = name, self.constant(weights), self.constant(np.zeros(16, np.float32))
        sizes = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1], "strides": [1, 1]}
        return self.add("Conv", *inputs, group=groups, **sizes)

    def silu(self, name: str) -> str:
        return self.add("Mul", name, self.add("Sigmoid", name))

    def focus(self, name: str) -> str:
        ends, steps = self.constant(np.array([1 << 62])), self.constant(np.array([2]))
        rows, columns = self.constant(np.array([2])), self.constant(np.array([3]))
        parts = []
        for down, right in FOCUS:
            half = self.add("Slice", name, self.constant(np.array([down])), ends, rows, steps)
            start = self.constant(np.array([right]))
            parts.append(self.add("Slice", half, start, ends, columns, steps))
        return self.add("Concat", *parts, axis=1)

    def predictions(self, name: str) -> str:
        boxes = self.conv(name, (16, 4), kernel=1)
        sure = self.add("Sigmoid", self.conv(name, (16, 1), kernel=1))
        kind = self.add("Sigmoid", self.conv(name, (16, 1), kernel=1))
        level = self.add("Concat", boxes, sure, kind, axis=1)
        return self.add("Reshape", level, self.constant(np.array([1, 6, -1])))

    def model(self, output: str, kind: int = TensorProto.FLOAT) -> onnx.ModelProto:
        """Return what was added; ``output`` is its result."""
        picture = helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, SIZE, SIZE])
        result = helper.make_tensor_value_info(output, kind, [1, "rows", "columns"])
        graph = helper.make_graph(self.nodes, "tiny", [picture], [result], self.constants)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def network(
    *, focus: bool = True, scale: float = 1 / 128, depthwise: bool = False
) -> onnx.ModelProto:
    builder = Builder()
    first = (
        builder.conv(builder.focus("images"), (12, 16))
        if focus
        else builder.conv("images", (3, 16), stride=2)
    )
    name = builder.silu(first)
    # Pixels reach 255: the first weights shrink so that the network's values stay near one.
    weights = next(c for c in builder.constants if len(c.dims) == 4)
    weights.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weights) * scale, weights.name))
    name = builder.silu(builder.conv(name, (16, 16), stride=2))
    levels = []
    for _stride in (8, 16, 32):
        name = builder.silu(builder.conv(name, (16, 16), stride=2))
        if depthwise:
            name = builder.silu(builder.grouped(name, 16))
        levels.append(builder.predictions(name))
    return builder.model(
        builder.add("Transpose", builder.add("Concat", *levels, axis=2), perm=[0, 2, 1])
    )


def pictures(count: int) -> np.ndarray:
    """Noise, and smooth gradients with edges, as pictures have."""
    random = np.random.default_rng(9)
    noise = random.integers(0, 256, (count, SIZE, SIZE, 3))
    ramp = np.linspace(0, 255, SIZE)[None, :, None, None] * random.random((count, 1, 1, 3))
    ramp = np.broadcast_to(ramp, noise.shape).copy()
    ramp[:, 20:40, 10:30] = random.integers(0, 256, (count, 1, 1, 3))
    return np.where(np.arange(count)[:, None, None, None] % 2, noise, ramp).astype(np.uint8)
