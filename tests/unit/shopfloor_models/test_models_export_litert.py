from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from fakes.networks import SIZE, Builder, network, pictures
from shopfloor_edge.inference.litert import LiteRtRuntime
from shopfloor_models.errors import DataError, ExportError
from shopfloor_models.evaluation.runners import LiteRtRunner
from shopfloor_models.export.litert_plan import OUTPUTS, asymmetric, split_head
from shopfloor_models.export.onnx_fold import fold
from shopfloor_models.export.quantise import outputs, prepare
from shopfloor_models.export.targets import Source, make

litert = pytest.importorskip(
    "ai_edge_litert.interpreter", reason="wants the extra litert of shopfloor-models"
)


def build(model: onnx.ModelProto, folder: Path) -> Path:
    path = folder / "tiny.tflite"
    path.write_bytes(make("coral", Source(model, pictures(40))).content)
    return path


def details(path: Path) -> litert.Interpreter:
    interpreter = litert.Interpreter(str(path), num_threads=1)
    interpreter.allocate_tensors()
    return interpreter


@pytest.mark.parametrize("depthwise", [False, True])
def test_the_rows_stay_near_float(tmp_path, depthwise) -> None:
    model, images = network(depthwise=depthwise), pictures(8)
    expected = outputs(model, images.transpose(0, 3, 1, 2).astype(np.float32))

    runner = LiteRtRunner(build(model, tmp_path))

    rows = np.concatenate([runner.run(runner.tensor(image, 1.0)) for image in images])
    assert rows.shape == expected.shape
    spread = expected.std(axis=(0, 1))
    assert (np.abs(rows - expected).mean(axis=(0, 1)) < 0.1 * spread).all()


def test_a_device_reads_the_same_rows_from_the_file(tmp_path) -> None:
    path, [image] = build(network(), tmp_path), pictures(1)
    pixels = (image[None].astype(np.int16) - 128).astype(np.int8)

    rows = LiteRtRuntime(path, threads=1).run(pixels)

    runner = LiteRtRunner(path)
    np.testing.assert_array_equal(rows, runner.run(runner.tensor(image, 1.0)))


def test_everything_is_integers_and_pixels_are_only_shifted(tmp_path) -> None:
    interpreter = details(build(network(), tmp_path))

    kinds = {one["dtype"] for one in interpreter.get_tensor_details()}
    [given] = interpreter.get_input_details()

    assert kinds == {np.int8, np.int32}
    assert given["shape"].tolist() == [1, SIZE, SIZE, 3]
    assert given["quantization"] == (1.0, -128)


def test_offsets_sizes_and_scores_are_outputs_with_a_step_each(tmp_path) -> None:
    found = details(build(network(), tmp_path)).get_output_details()

    assert [one["shape"].tolist() for one in found] == [[1, 84, 2], [1, 84, 2], [1, 84, 2]]
    steps = [one["quantization"][0] for one in found]
    assert len(set(steps)) == len(OUTPUTS)
    assert steps[2] == 1 / 256


def test_the_same_source_gives_the_same_file(tmp_path) -> None:
    files = [build(network(), tmp_path).read_bytes() for _ in range(2)]

    assert files[0] == files[1]


def test_the_split_head_computes_the_same_rows(tmp_path) -> None:
    plain, image = prepare(fold(network()), tmp_path), pictures(1)

    split = split_head(plain)

    parts = []
    for name in OUTPUTS:
        alone = onnx.ModelProto()
        alone.CopyFrom(split)
        del alone.graph.output[:]
        alone.graph.output.append(helper.make_empty_tensor_value_info(name))
        parts.append(outputs(alone, image))
    np.testing.assert_allclose(np.concatenate(parts, axis=-1), outputs(plain, image), atol=1e-6)


def test_an_operator_that_the_edge_tpu_lacks_is_named_with_its_target() -> None:
    builder = Builder()
    name = builder.silu(builder.conv(builder.focus("images"), (12, 16)))
    model = builder.model(builder.add("NonZero", name), TensorProto.INT64)
    del model.graph.output[0].type.tensor_type.shape.dim[2]

    with pytest.raises(ExportError, match=r"litert-int8: operator NonZero \(nonzero\d+\) is not"):
        make("litert-int8", Source(model, pictures(16)))


def test_another_head_than_yoloxs_is_refused_with_what_was_found() -> None:
    builder = Builder()
    model = builder.model(builder.silu(builder.conv(builder.focus("images"), (12, 16))))

    with pytest.raises(ExportError, match="ends in Mul, expected Transpose of YOLOX's raw head"):
        make("litert-int8", Source(model, pictures(16)))


def test_a_grouped_convolution_is_refused() -> None:
    builder = Builder()
    name = builder.silu(builder.conv(builder.focus("images"), (12, 16)))
    name = builder.silu(builder.grouped(name, 4))
    levels = [builder.predictions(name)]
    rows = builder.add("Concat", *levels, axis=2)
    model = builder.model(builder.add("Transpose", rows, perm=[0, 2, 1]))

    with pytest.raises(ExportError, match="litert-int8: Conv of 4 groups"):
        make("litert-int8", Source(model, pictures(16)))


@pytest.mark.parametrize(("low", "high"), [(-3.0, 5.0), (1.0, 2.0), (-2.0, -1.0), (0.0, 0.0)])
def test_zero_is_exact_in_every_step(low: float, high: float) -> None:
    scale = asymmetric([(np.float32(low), np.float32(high))])

    assert -128 <= scale.zero <= 127
    assert (127 - scale.zero) * scale.step[0] >= max(high, 0) - scale.step[0]
    assert (-128 - scale.zero) * scale.step[0] <= min(low, 0) + scale.step[0]


def test_a_file_that_is_no_tflite_is_named(tmp_path) -> None:
    path = tmp_path / "notes.tflite"
    path.write_bytes(b"not a network")

    with pytest.raises(DataError, match=r"notes\.tflite"):
        LiteRtRunner(path)
