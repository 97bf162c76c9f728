import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from fakes.networks import SIZE, Builder, network, pictures
from shopfloor_contracts.bundles import Head
from shopfloor_edge.inference.heads import DECODERS, HeadSpec
from shopfloor_models.errors import ExportError
from shopfloor_models.export.onnx_fold import fold, fold_file
from shopfloor_models.export.quantise import outputs, tail
from shopfloor_models.export.targets import TARGETS, Source, expand, make


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

    model = onnx.load_model_from_string(built.content)
    kinds = [node.op_type for node in model.graph.node]
    assert "QuantizeLinear" in kinds
    assert len(built.report) == 14
    assert [one.error for one in built.report] == sorted(o.error for o in built.report)[::-1]
    expected = run_float(plain, images[:8])
    assert np.abs(outputs(model, images[:8]) - expected)[..., 4:].mean() < 0.02


def test_int8_for_tensorrt_has_no_unsigned_integers_but_the_input() -> None:
    plain, images = network(), pictures(100)

    model = onnx.load_model_from_string(make("tensorrt", Source(plain, images, worst=1)).content)

    zeros = {n.input[2] for n in model.graph.node if n.op_type == "QuantizeLinear"}
    points = [c for c in model.graph.initializer if c.name in zeros]
    assert points
    assert {c.data_type for c in points} == {TensorProto.INT8}
    assert all(not numpy_helper.to_array(c).any() for c in points)
    assert [node.op_type for node in model.graph.node[:2]] == ["Cast", "Transpose"]
    expected = run_float(plain, images[:8])
    assert np.abs(outputs(model, images[:8]) - expected)[..., 4:].mean() < 0.02


def test_the_same_source_gives_the_same_build() -> None:
    source = Source(network(), pictures(100), worst=1)

    builds = [make("onnx-int8", source).content for _ in range(2)]

    assert builds[0] == builds[1]


@pytest.mark.parametrize("target", [name for name in TARGETS if TARGETS[name].suffix == ".onnx"])
def test_every_onnx_target_takes_the_same_bytes(target: str) -> None:
    built = make(target, Source(network(), pictures(100), worst=1))

    model = onnx.load_model_from_string(built.content)
    assert model.graph.input[0].type.tensor_type.elem_type == TensorProto.UINT8


def test_a_network_that_is_folded_already_is_taken_as_it_is() -> None:
    folded = fold(network())

    built = make("onnx-fp32", Source(folded))

    assert built.content == folded.SerializeToString()


@pytest.mark.parametrize("target", sorted(set(TARGETS) - {"onnx-fp32"}))
def test_too_few_calibration_pictures_are_refused(target: str) -> None:
    with pytest.raises(ExportError, match=f"{target}: 15 calibration pictures, expected 16–500"):
        make(target, Source(network(), pictures(15)))


def test_an_unknown_target_names_the_known_ones() -> None:
    with pytest.raises(ExportError, match="'npu' is unknown, expected one of onnx-fp32, onnx-int8"):
        make("npu", Source(network(), pictures(1)))


def test_aliases_and_targets_are_named_once_in_the_order_of_the_table() -> None:
    found = expand(["tensorrt", "coral", "cpu", "openvino", "onnx-int8"])

    assert found == ("onnx-fp32", "onnx-int8", "onnx-int8-tensorrt", "litert-int8")


def test_no_target_at_all_is_refused() -> None:
    with pytest.raises(ExportError, match="target '' is unknown"):
        expand([])
