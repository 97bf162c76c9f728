"""TensorRT: engines are really built (no GPU needed); running one wants a GPU."""

import numpy as np
import onnx
import pytest

from shopfloor_edge.errors import BackendUnavailableError, BundleError
from shopfloor_edge.inference.engines import EngineCache, Fingerprint
from shopfloor_edge.inference.memory import CudaBindingsMemory, Gpu, PyCudaMemory, open_memory
from shopfloor_edge.inference.tensorrt import (
    TensorRtBackend,
    TensorRtRuntime,
    build_engine,
    check_gpu,
    load_library,
)
from shopfloor_edge.inference.zoo import find_manifest, resolve

MANIFEST = find_manifest("person-nano")
PERSON_NANO = resolve(MANIFEST.build_for("onnx-fp32"), download=False)


@pytest.fixture(scope="module")
def library():
    try:
        return load_library()
    except BackendUnavailableError as e:
        pytest.skip(f"wants {e} (tensorrt-rtx-cu13-libs and -bindings are wheels)")


@pytest.fixture
def gpu():
    try:
        check_gpu()
    except BackendUnavailableError as e:
        pytest.skip(f"wants a GPU: {e}")


@pytest.fixture
def gpu_absent():
    try:
        check_gpu()
    except BackendUnavailableError:
        return
    pytest.skip("TensorRT and a GPU are here")


def test_an_engine_is_built_of_the_detector_that_ships(library):
    engine = build_engine(library, PERSON_NANO)

    assert len(engine) > 1_000_000


@pytest.mark.mirror
def test_an_engine_is_built_of_a_float_network(library):
    try:
        path = resolve(find_manifest("yolox-nano").builds[0], download=False)
    except BundleError as e:
        pytest.skip(f"wants the detector's weights: {e}")

    assert len(build_engine(library, path)) > 1_000_000


def test_a_model_that_tensorrt_does_not_take_is_refused_in_one_line(library, tmp_path):
    node = onnx.helper.make_node("NonZero", ["in"], ["out"])
    sizes = [onnx.helper.make_tensor_value_info("in", onnx.TensorProto.STRING, [1, 4])]
    out = [onnx.helper.make_tensor_value_info("out", onnx.TensorProto.INT64, [2, None])]
    graph = onnx.helper.make_graph([node], "strings", sizes, out)
    path = tmp_path / "strings.onnx"
    onnx.save(onnx.helper.make_model(graph), path)

    with pytest.raises(BundleError) as error:
        build_engine(library, path)

    assert "strings.onnx: TensorRT does not take it" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_kept_engine_is_not_built_again(library, tmp_path):
    cache = EngineCache(tmp_path)
    here = Fingerprint("0" * 64, library.version, "a GPU", "8.7")
    built = cache.load_or_build(here, lambda: build_engine(library, PERSON_NANO))

    kept = cache.load_or_build(here, lambda: pytest.fail("built again"))

    assert kept == built


@pytest.mark.parametrize("adapter", [CudaBindingsMemory, PyCudaMemory])
def test_memory_without_a_gpu_says_what_is_missing(adapter):
    try:
        adapter().close()
    except BackendUnavailableError as e:
        assert e.reason  # noqa: PT017 — with a GPU there is nothing to refuse
    else:
        pytest.skip("there is a GPU")


@pytest.mark.gpu
@pytest.mark.usefixtures("gpu")
def test_what_is_uploaded_comes_back():
    memory = open_memory()
    sent, received = np.arange(1000, dtype=np.float32), np.zeros(1000, np.float32)

    address = memory.allocate(sent.nbytes)
    memory.upload(address, sent)
    memory.download(address, received)
    memory.close()

    np.testing.assert_array_equal(sent, received)


@pytest.mark.gpu
@pytest.mark.usefixtures("gpu")
def test_a_damaged_engine_is_built_again_and_runs(tmp_path):
    cache, memory = EngineCache(tmp_path), open_memory()
    TensorRtRuntime(PERSON_NANO, cache=cache, memory=memory)
    (kept,) = tmp_path.glob("*.engine")
    kept.write_bytes(kept.read_bytes()[:1000])

    runtime = TensorRtRuntime(PERSON_NANO, cache=cache, memory=memory)

    assert runtime.run(np.zeros(runtime.input.shape, np.uint8)).ndim == 3
    assert kept.stat().st_size > 1_000_000


@pytest.mark.usefixtures("gpu_absent")
def test_without_tensorrt_or_a_gpu_the_backend_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("SHOPFLOOR_CACHE", str(tmp_path))

    with pytest.raises(BackendUnavailableError, match="tensorrt: "):
        TensorRtBackend(MANIFEST, PERSON_NANO, wanted=("person",))


class NoGpuMemory:
    """Memory of a GPU that is named and not there."""

    gpu, stream = Gpu("a GPU that is not here", "8.7"), 0

    def allocate(self, size_bytes):
        raise AssertionError("nothing is run")

    upload = download = close = allocate


@pytest.mark.usefixtures("gpu_absent")
def test_an_engine_that_does_not_load_is_built_once_more_and_then_given_up(library, tmp_path):
    with pytest.raises(BundleError, match="does not load the engine that it built"):
        TensorRtRuntime(PERSON_NANO, cache=EngineCache(tmp_path), memory=NoGpuMemory())

    assert list(tmp_path.iterdir()) == []
