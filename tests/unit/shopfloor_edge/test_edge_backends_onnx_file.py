"""An ONNX file is told from other bytes, and rewritten for TensorRT without changing a number."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shopfloor_edge.errors import BundleError
from shopfloor_edge.inference.onnx_file import cast_first, read_onnx
from shopfloor_edge.inference.zoo import find_manifest, resolve

PERSON_NANO = resolve(find_manifest("person-nano").build_for("onnx-fp32"), download=False)


def output_of(content, picture):
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: picture})[0]


def test_a_model_is_read_as_it_is():
    assert read_onnx(PERSON_NANO) == PERSON_NANO.read_bytes()


@settings(max_examples=60, deadline=None)
@given(length=st.integers(0, PERSON_NANO.stat().st_size - 1))
def test_a_model_cut_off_anywhere_is_refused(tmp_path_factory, length):
    path = tmp_path_factory.mktemp("cut") / "model.onnx"
    path.write_bytes(PERSON_NANO.read_bytes()[:length])

    with pytest.raises(BundleError, match="not an ONNX model"):
        read_onnx(path)


@settings(max_examples=200, deadline=None)
@given(content=st.binary(max_size=400))
def test_bytes_that_are_no_model_are_refused(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("junk") / "model.onnx"
    path.write_bytes(content)

    with pytest.raises(BundleError, match="not an ONNX model"):
        read_onnx(path)


def test_a_model_without_a_node_is_refused(tmp_path):
    model = onnx.load(PERSON_NANO)
    del model.graph.node[:]
    path = tmp_path / "empty.onnx"
    path.write_bytes(model.SerializeToString())

    with pytest.raises(BundleError, match="not an ONNX model"):
        read_onnx(path)


def test_the_cast_comes_first_and_nothing_else_changes():
    content = PERSON_NANO.read_bytes()
    size = find_manifest("person-nano").preprocess
    picture = np.random.default_rng(1).integers(
        0, 255, (1, size.height_px, size.width_px, 3), np.uint8
    )

    changed = cast_first(content)

    graph = onnx.load_model_from_string(changed).graph
    assert [node.op_type for node in graph.node[:2]] == ["Cast", "Transpose"]
    onnx.checker.check_model(onnx.load_model_from_string(changed))
    np.testing.assert_array_equal(output_of(changed, picture), output_of(content, picture))


def test_what_is_known_of_the_tensor_between_is_dropped(tmp_path):
    model = onnx.shape_inference.infer_shapes(onnx.load(PERSON_NANO))
    between = model.graph.node[0].output[0]
    assert between in {value.name for value in model.graph.value_info}

    changed = onnx.load_model_from_string(cast_first(model.SerializeToString()))

    assert between not in {value.name for value in changed.graph.value_info}
    onnx.checker.check_model(changed, full_check=True)


def test_a_model_that_casts_first_already_is_left_alone():
    changed = cast_first(PERSON_NANO.read_bytes())

    assert cast_first(changed) == changed


def test_a_file_that_cannot_be_read_is_named():
    with pytest.raises(BundleError, match=r"/nonexistent/model\.onnx: No such file"):
        read_onnx(Path("/nonexistent/model.onnx"))
