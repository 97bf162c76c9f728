import importlib.util
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from fakes.networks import Builder, network, pictures
from shopfloor_models.errors import ExportError, MissingExtraError
from shopfloor_models.export.onnx_fold import fold
from shopfloor_models.export.quantise import outputs
from shopfloor_models.export.targets import Source, make
from shopfloor_models.export.tensorrt import MODULES, cast_first, check_engine

INSTALLED = any(importlib.util.find_spec(name) for name in MODULES)
builder_here = pytest.mark.skipif(
    not INSTALLED, reason="wants the extra tensorrt-rtx of shopfloor-models"
)


def suppression() -> onnx.ModelProto:
    node = helper.make_node("NonMaxSuppression", ["boxes", "scores"], ["kept"], "suppress")
    graph = helper.make_graph(
        [node],
        "tiny",
        [
            helper.make_tensor_value_info("boxes", TensorProto.FLOAT, [1, 10, 4]),
            helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, 1, 10]),
        ],
        [helper.make_tensor_value_info("kept", TensorProto.INT64, ["n", 3])],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def test_a_network_with_its_own_suppression_is_refused_by_name() -> None:
    with pytest.raises(
        ExportError, match=r"onnx-int8-tensorrt: operator NonMaxSuppression \(suppress\) is not"
    ):
        make("tensorrt", Source(suppression(), pictures(16)))


def test_bytes_are_cast_before_they_are_turned_and_rows_stay_the_same() -> None:
    folded, images = fold(network()), pictures(2)

    turned = cast_first(folded)

    assert [node.op_type for node in turned.graph.node[:2]] == ["Cast", "Transpose"]
    np.testing.assert_array_equal(outputs(turned, images), outputs(folded, images))


@pytest.mark.skipif(INSTALLED, reason="wants TensorRT for RTX to be absent")
def test_without_the_builder_the_extra_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingExtraError, match=r"shopfloor-models\[tensorrt-rtx\]"):
        check_engine(tmp_path / "any.onnx")


@builder_here
def test_an_engine_of_the_integer_build_is_made_without_a_gpu(tmp_path: Path) -> None:
    path = tmp_path / "tiny.onnx"
    path.write_bytes(make("tensorrt", Source(network(), pictures(40), worst=1)).content)

    report = check_engine(path)

    assert report.refused is None
    assert report.size_bytes > 10_000


@builder_here
@pytest.mark.parametrize("operator", ["NonZero", "NonMaxSuppression"])
def test_an_operator_that_the_builder_refuses_is_named(tmp_path: Path, operator: str) -> None:
    path = tmp_path / "tiny.onnx"
    builder = Builder()
    builder.add("NonZero", "images")
    graph = builder.model("nonzero0") if operator == "NonZero" else suppression()
    if operator == "NonZero":
        graph.graph.output[0].type.tensor_type.elem_type = TensorProto.INT64
    onnx.save(graph, path)

    report = check_engine(path)

    assert report.refused == operator
    assert report.reason


@builder_here
def test_a_builder_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    path = tmp_path / "tiny.onnx"
    onnx.save(cast_first(fold(network())), path)

    with pytest.raises(ExportError, match=r"no engine of tiny\.onnx after 0\.01 s"):
        check_engine(path, timeout_s=0.01)


@builder_here
def test_a_builder_that_ends_badly_does_not_end_the_run(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"the builder ended with \d+ on none\.onnx"):
        check_engine(tmp_path / "none.onnx")
