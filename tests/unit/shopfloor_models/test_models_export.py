import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from shopfloor_contracts.bundles import Head
from shopfloor_edge.inference.heads import DECODERS, HeadSpec
from shopfloor_models.errors import ExportError
from shopfloor_models.export.onnx_fold import fold, fold_file
from shopfloor_models.export.quantise import outputs, tail
from shopfloor_models.export.targets import TARGETS, Source, make

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

    def model(self, output: str) -> onnx.ModelProto:
        picture = helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, SIZE, SIZE])
        result = helper.make_tensor_value_info(output, TensorProto.FLOAT, [1, "rows", "columns"])
        graph = helper.make_graph(self.nodes, "tiny", [picture], [result], self.constants)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def network(*, focus: bool = True, scale: float = 1 / 128) -> onnx.ModelProto:
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


def run_float(model: onnx.ModelProto, images: np.ndarray) -> np.ndarray:
    return outputs(model, images.transpose(0, 3, 1, 2).astype(np.float32))


def test_the_folded_network_finds_the_same_boxes() -> None:
    plain, images = network(), pictures(6)
    spec = HeadSpec(SIZE, SIZE, classes=1, wanted=(0,), score_min=0.1, nms_iou=0.65)

    folded = fold(plain)

    before, after = run_float(plain, images), outputs(folded, images)
    assert np.abs(before[..., 4:] - after[..., 4:]).max() <= 1e-3
    decode = DECODERS[Head.YOLOX]
    assert (decode(before, spec)[..., 4] > 0).sum() > 10
    np.testing.assert_allclose(decode(before, spec), decode(after, spec), atol=1e-3)


def test_focus_becomes_one_convolution_of_six_by_six() -> None:
    folded = fold(network())

    kinds = [node.op_type for node in folded.graph.node]
    assert "Slice" not in kinds
    assert kinds[:3] == ["Transpose", "Cast", "Conv"]
    first = next(node for node in folded.graph.node if node.op_type == "Conv")
    assert helper.get_node_attr_value(first, "kernel_shape") == [6, 6]


def test_the_input_is_bytes_as_they_lie_in_memory() -> None:
    found = fold(network()).graph.input[0].type.tensor_type

    assert found.elem_type == TensorProto.UINT8
    assert [d.dim_value for d in found.shape.dim] == [1, SIZE, SIZE, 3]


@pytest.mark.parametrize("focus", [True, False])
def test_colour_swap_and_scale_go_into_the_weights(focus: bool) -> None:
    plain, images = network(focus=focus, scale=1.0), pictures(4)
    rgb = images[..., ::-1].astype(np.float32) / 255

    folded = fold(plain, swap_colours=True, scale=1 / 255)

    expected = outputs(plain, np.ascontiguousarray(rgb.transpose(0, 3, 1, 2)))
    np.testing.assert_allclose(outputs(folded, images), expected, atol=1e-3)


def test_an_older_opset_is_lifted() -> None:
    plain = network()
    plain.opset_import[0].version, plain.ir_version = 11, 6

    folded = fold(plain)

    assert folded.opset_import[0].version >= 13
    images = pictures(2)
    np.testing.assert_allclose(outputs(folded, images), run_float(network(), images), atol=1e-3)


def test_folding_twice_is_refused_with_what_was_found() -> None:
    with pytest.raises(ExportError, match=r"input is uint8 \[1, 64, 64, 3\], expected float"):
        fold(fold(network()))


def test_a_first_operator_that_cannot_be_folded_into_is_named() -> None:
    builder = Builder()
    plain = builder.model(builder.add("Relu", "images"))

    with pytest.raises(ExportError, match="read by Relu, expected one Conv"):
        fold(plain)


def test_a_file_that_is_no_network_is_named(tmp_path) -> None:
    path = tmp_path / "notes.onnx"
    path.write_bytes(b"not a network")

    with pytest.raises(ExportError, match=r"notes\.onnx: not an ONNX model"):
        fold_file(path, tmp_path / "out.onnx")


def test_the_tail_begins_with_the_predictions() -> None:
    plain = network()
    of = {node.name: node for node in plain.graph.node}

    found = tail(plain)

    assert sum(of[name].op_type == "Conv" for name in found) == 9
    assert not any(of[name].op_type == "Mul" for name in found)


def test_int8_for_a_cpu_stays_near_float_and_reports_every_layer() -> None:
    plain, images = network(), pictures(100)

    built = make("onnx-int8", Source(plain, images, worst=1))

    kinds = [node.op_type for node in built.model.graph.node]
    assert "QuantizeLinear" in kinds
    assert len(built.report) == 14
    assert [one.error for one in built.report] == sorted(o.error for o in built.report)[::-1]
    expected = run_float(plain, images[:8])
    assert np.abs(outputs(built.model, images[:8]) - expected)[..., 4:].mean() < 0.02


def test_int8_for_tensorrt_has_no_unsigned_integers_but_the_input() -> None:
    built = make("onnx-int8-tensorrt", Source(network(), pictures(100), worst=1))

    zeros = {n.input[2] for n in built.model.graph.node if n.op_type == "QuantizeLinear"}
    points = [c for c in built.model.graph.initializer if c.name in zeros]
    assert points
    assert {c.data_type for c in points} == {TensorProto.INT8}
    assert all(not numpy_helper.to_array(c).any() for c in points)


def test_the_same_source_gives_the_same_build() -> None:
    source = Source(network(), pictures(100), worst=1)

    builds = [make("onnx-int8", source).model.SerializeToString() for _ in range(2)]

    assert builds[0] == builds[1]


@pytest.mark.parametrize("target", sorted(TARGETS))
def test_every_target_takes_the_same_bytes(target: str) -> None:
    built = make(target, Source(network(), pictures(100), worst=1))

    assert built.model.graph.input[0].type.tensor_type.elem_type == TensorProto.UINT8


def test_too_few_calibration_pictures_are_refused() -> None:
    with pytest.raises(ExportError, match="99 calibration pictures, expected 100–500"):
        make("onnx-int8", Source(network(), pictures(99)))


def test_an_unknown_target_names_the_known_ones() -> None:
    with pytest.raises(ExportError, match="'coral' is unknown; known: onnx-fp32, onnx-int8, onnx"):
        make("coral", Source(network(), pictures(1)))
