import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from fakes.networks import Builder, network, pictures
from shopfloor_models.export.calibration import open_session
from shopfloor_models.export.equalise import equalise
from shopfloor_models.export.onnx_fold import fold
from shopfloor_models.export.quantise import outputs, prepare


def uneven(model: onnx.ModelProto) -> onnx.ModelProto:
    """Make the channels of every convolution but the predictions differ by a hundred."""
    used = {node.input[1] for node in model.graph.node if node.op_type == "Conv"}
    for constant in model.graph.initializer:
        if constant.name in used and constant.dims[0] == 16:
            values = (
                numpy_helper.to_array(constant) * np.geomspace(0.1, 10, 16)[:, None, None, None]
            )
            constant.CopyFrom(numpy_helper.from_array(values.astype(np.float32), constant.name))
    return model


def joined() -> onnx.ModelProto:
    """A network that adds, pools, enlarges and joins channels before they are read."""
    builder = Builder()
    first = builder.silu(builder.conv(builder.focus("images"), (12, 16)))
    second = builder.silu(builder.conv(first, (16, 16)))
    both = builder.add("Add", first, second)
    pooled = builder.add("MaxPool", both, kernel_shape=[5, 5], pads=[2] * 4, strides=[1, 1])
    wide = builder.add("Concat", pooled, second, axis=1)
    sizes = builder.constant(np.array([1, 1, 2, 2], np.float32))
    large = builder.add("Resize", wide, "", sizes, mode="nearest", nearest_mode="floor")
    name = builder.silu(builder.conv(large, (32, 16)))
    rows = builder.add("Concat", builder.predictions(name), axis=2)
    return builder.model(builder.add("Transpose", rows, perm=[0, 2, 1]))


def grouped() -> onnx.ModelProto:
    """A network with a convolution that reads its channels in fours."""
    builder = Builder()
    name = builder.silu(builder.conv(builder.focus("images"), (12, 16)))
    name = builder.silu(builder.grouped(name, 4))
    rows = builder.add("Concat", builder.predictions(name), axis=2)
    return builder.model(builder.add("Transpose", rows, perm=[0, 2, 1]))


def read_twice() -> onnx.ModelProto:
    """A network in which something besides SiLU reads a convolution's output."""
    builder = Builder()
    first = builder.conv(builder.focus("images"), (12, 16))
    both = builder.add("Add", builder.silu(first), first)
    name = builder.silu(builder.conv(both, (16, 16)))
    rows = builder.add("Concat", builder.predictions(name), axis=2)
    return builder.model(builder.add("Transpose", rows, perm=[0, 2, 1]))


def watched(model: onnx.ModelProto, name: str, image: np.ndarray) -> np.ndarray:
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    del copy.graph.output[:]
    copy.graph.output.append(helper.make_empty_tensor_value_info(name))
    return open_session(copy).run(None, {"images": image})[0]


@pytest.mark.parametrize("make", [network, joined, grouped, read_twice])
def test_the_network_computes_the_same(tmp_path, make) -> None:
    plain, images = prepare(fold(uneven(make())), tmp_path), pictures(6)

    equal = equalise(plain, images)

    expected = outputs(plain, images)
    np.testing.assert_allclose(outputs(equal, images), expected, rtol=1e-2, atol=1e-2)


def test_channels_reach_equally_far(tmp_path) -> None:
    plain, images = prepare(fold(uneven(network())), tmp_path), pictures(6)
    conv = next(node.output[0] for node in plain.graph.node if node.op_type == "Conv")

    equal = equalise(plain, images)

    before, after = (watched(model, conv, images[:1]) for model in (plain, equal))
    reach = [np.abs(found).max(axis=(0, 2, 3)) for found in (before, after)]
    assert reach[0].max() / reach[0].min() > 30
    assert reach[1].max() / reach[1].min() < 8


def test_channels_that_something_else_reads_stay_as_they_are(tmp_path) -> None:
    builder = Builder()
    name = builder.silu(builder.conv(builder.focus("images"), (12, 16)))
    plain = prepare(fold(builder.model(builder.add("Tanh", name))), tmp_path)

    equal = equalise(plain, pictures(4))

    np.testing.assert_allclose(outputs(equal, pictures(4)), outputs(plain, pictures(4)), atol=1e-6)


def test_a_network_without_silu_is_left_as_it_is(tmp_path) -> None:
    builder = Builder()
    name = builder.add("Relu", builder.conv(builder.focus("images"), (12, 16)))
    plain = prepare(fold(builder.model(name)), tmp_path)

    assert equalise(plain, pictures(4)) == plain
