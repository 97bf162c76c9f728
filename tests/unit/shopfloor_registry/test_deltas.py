"""What every encoder makes is decoded again; what is damaged or hostile is one clear error."""

import hashlib

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shopfloor_contracts.delta_streams import Codec
from shopfloor_contracts.deltas import (
    HEAD,
    STREAM,
    STREAMS,
    Head,
    Kind,
    Method,
    Step,
    apply_delta,
    read_steps,
)
from shopfloor_contracts.errors import DeltaError
from shopfloor_registry.delta import steps
from shopfloor_registry.delta.encoders import ENCODERS, best_delta, encoded
from shopfloor_registry.delta.onnx_tensors import find_tensors

QUIET = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def network(weights, *, doc=""):
    """An ONNX file with the weights as initialisers of several types."""
    made = [
        onnx.numpy_helper.from_array(weights.astype(kind), f"w{kind}")
        for kind in ("float32", "float16", "int8")
    ]
    made.append(onnx.helper.make_tensor("listed", 1, weights.shape, weights.ravel().tolist()))
    graph = onnx.helper.make_graph([], "g", [], [], initializer=made)
    return onnx.helper.make_model(graph, doc_string=doc).SerializeToString()


@pytest.fixture(scope="module")
def pair():
    random = np.random.default_rng(3)
    weights = random.normal(0, 0.1, (64, 50)).astype(np.float32)
    tuned = weights + random.normal(0, 1e-4, weights.shape).astype(np.float32)
    return network(weights), network(tuned, doc="tuned")


def decoded(folder, base, delta, **limits):
    (folder / "base").write_bytes(base)
    (folder / "delta").write_bytes(delta)
    apply_delta(folder / "base", folder / "delta", folder / "out", **limits)
    return (folder / "out").read_bytes()


@pytest.mark.parametrize("encoder", ENCODERS)
def test_every_encoder_gives_the_result_back(pair, tmp_path, encoder):
    base, result = pair

    assert decoded(tmp_path, base, encoded(base, result)[encoder]) == result


def test_tensors_of_every_kind_are_found(pair):
    found = find_tensors(pair[0])

    assert [(one.name, one.width, one.size) for one in found] == [
        ("/wfloat32", 4, 12800),
        ("/wfloat16", 2, 6400),
        ("/wint8", 1, 3200),
        ("/listed", 4, 12800),
    ]


def test_the_smallest_is_by_tensors_where_every_weight_moved(pair, tmp_path):
    (tmp_path / "a").write_bytes(pair[0])
    (tmp_path / "b").write_bytes(pair[1])

    best = best_delta(tmp_path / "a", tmp_path / "b")

    assert best.encoder == "tensors"
    assert len(best.content) == min(best.sizes.values()) < 0.8 * best.sizes["bsdiff"]


def test_there_is_no_delta_where_the_whole_file_is_as_small(tmp_path):
    (tmp_path / "a").write_bytes(b"a")
    (tmp_path / "b").write_bytes(b"b")

    assert best_delta(tmp_path / "a", tmp_path / "b") is None


@QUIET
@given(base=st.binary(max_size=400), result=st.binary(max_size=400))
def test_any_two_files_survive_every_encoder(tmp_path, base, result):
    for delta in encoded(base, result).values():
        assert decoded(tmp_path, base, delta) == result


@QUIET
@given(width=st.sampled_from([1, 2, 4]), lanes=st.integers(1, 300), seed=st.integers(0, 2**32 - 1))
def test_any_lanes_are_restored_exactly(tmp_path, width, lanes, seed):
    random = np.random.default_rng(seed)
    base, result = random.bytes(lanes * width), random.bytes(lanes * width)
    body = steps.body([Step(Kind(width), len(base))], base, result)
    digests = [hashlib.sha256(content).hexdigest() for content in (base, result)]
    head = Head(Method.STEPS, *digests, len(base), len(result))

    assert decoded(tmp_path, base, head.packed() + body) == result


@QUIET
@given(data=st.data())
def test_a_damaged_delta_is_one_error_and_leaves_nothing(pair, tmp_path, data):
    base, result = pair
    made = SMALL.setdefault("made", encoded(base, result))
    delta = bytearray(made[data.draw(st.sampled_from(sorted(made)))])
    at = data.draw(st.one_of(st.integers(0, 250), st.integers(0, len(delta) - 1)))
    if data.draw(st.booleans()):
        delta[at] ^= data.draw(st.integers(1, 255))
    else:
        del delta[at:]

    # A flip that changes nothing of the result is none that matters.
    try:
        out = decoded(tmp_path, base, bytes(delta))
    except DeltaError:
        assert not (tmp_path / "out").exists()
    else:
        assert out == result


SMALL = {}


@QUIET
@given(junk=st.binary(max_size=300), method=st.sampled_from(list(Method)), size=st.integers(0, 500))
def test_any_body_under_a_good_head_is_one_error(tmp_path, junk, method, size):
    base = b"base" * 20
    head = Head(method, hashlib.sha256(base).hexdigest(), "0" * 64, len(base), size)

    with pytest.raises(DeltaError):
        decoded(tmp_path, base, head.packed() + junk)


def test_another_base_is_refused(pair, tmp_path):
    base, result = pair

    with pytest.raises(DeltaError, match="made for base"):
        decoded(tmp_path, base + b"x", encoded(base, result)["tensors"])


def test_a_result_beyond_the_limit_is_refused_before_it_is_made(pair, tmp_path):
    base, result = pair

    with pytest.raises(DeltaError, match="declares"):
        decoded(tmp_path, base, encoded(base, result)["zstd"], limit_bytes=len(result) - 1)


def test_a_frame_that_goes_on_beyond_its_size_is_refused(tmp_path):
    base, bomb = b"base", ENCODERS["zstd"][1](b"", bytes(1 << 24))
    head = Head(Method.WHOLE, hashlib.sha256(base).hexdigest(), "0" * 64, 4, 100)

    with pytest.raises(DeltaError, match="longer"):
        decoded(tmp_path, base, head.packed() + bomb)


def test_a_stream_that_asks_for_gigabytes_is_refused(tmp_path):
    base = b"base"
    greedy = b"\x5d\xff\xff\xff\xff" + bytes(8) + bytes(20)
    heads = STREAM.pack(Codec.LZMA, len(greedy), 50) + STREAM.pack(0, 0, 0) * (STREAMS - 1)
    head = Head(Method.STEPS, hashlib.sha256(base).hexdigest(), "0" * 64, 4, 100)

    with pytest.raises(DeltaError, match="unpacked"):
        decoded(tmp_path, base, head.packed() + heads + greedy)


@pytest.mark.parametrize(
    ("control", "found"),
    [
        (bytes([8, 4, 1]), "reads 4 bytes at -1"),
        (bytes([8, 4, 200, 1]), "reads 4 bytes at 100"),
        (bytes([2, 3, 0]), "lanes of 2"),
        (bytes([0, 0]), "step of 0 bytes"),
        (bytes([0, 101]), "make 101 bytes of 100"),
        (bytes([0, 99]), "make 99 bytes"),
        (bytes([7, 1]), "kind 7"),
        (bytes([0, 255, 255, 255, 255, 255, 1]), "does not end"),
        (bytes([0]), "does not end"),
    ],
)
def test_a_step_that_leaves_the_files_is_refused(control, found):
    head = Head(Method.STEPS, "0" * 64, "0" * 64, 100, 100)

    with pytest.raises(DeltaError, match=found):
        read_steps(control, head)


def test_the_head_is_as_long_as_it_was():
    assert (HEAD.size, STREAM.size, STREAMS) == (85, 9, 9)
