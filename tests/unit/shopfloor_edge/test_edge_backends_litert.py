"""LiteRT on real files: integers in and out, the Edge TPU, and what is no model for it."""

import shutil
import subprocess

import numpy as np
import pytest

from shopfloor_contracts.bundles import parse_manifest
from shopfloor_edge.errors import BackendUnavailableError, BundleError
from shopfloor_edge.inference.litert import LiteRtBackend, LiteRtRuntime, check_edge_tpu
from shopfloor_edge.inference.zoo import mirror_folder

interpreter = pytest.importorskip(
    "ai_edge_litert.interpreter", reason="wants ai-edge-litert, the extra litert"
)

MANIFEST = """{
 "name": "yolo26n", "version": "1", "task": "detect", "licence": "test", "source": "test",
 "classes": ["person"], "head": "end2end",
 "preprocess": {"width_px": 640, "height_px": 640, "layout": "nhwc-uint8", "colour": "rgb",
                "scale": 0.00392156862745098, "letterbox": "centre"},
 "builds": [{"target": "litert-int8", "file": "a.tflite", "sha256": "%s", "size_bytes": 1,
             "layout": "nhwc-int8"}]
}"""
DEAD_TPU = """
void *tflite_plugin_create_delegate(char **k, char **v, unsigned long n, void (*e)(const char *))
{ (void)k; (void)v; (void)n; (void)e; return 0; }
void tflite_plugin_destroy_delegate(void *d) { (void)d; }
"""


def weights(name):
    mirror = mirror_folder()
    path = mirror / "models" / name if mirror else None
    if path is None or not path.is_file():
        pytest.skip(f"wants {name} from SHOPFLOOR_MIRROR")
    return path


@pytest.fixture
def manifest():
    return parse_manifest(MANIFEST % ("0" * 64), source="test")


@pytest.mark.mirror
@pytest.mark.parametrize(
    ("name", "side", "shape"),
    [
        ("yolov8n_416_int8.tflite", 416, (1, 84, 3549)),
        ("yolov8n_320_int8.tflite", 320, (1, 84, 2100)),
    ],
)
def test_integers_out_become_real_numbers_by_the_files_own_scale(name, side, shape):
    path = weights(name)
    runtime = LiteRtRuntime(path, threads=1)
    tensor = np.random.default_rng(0).integers(-128, 127, (1, side, side, 3), np.int8)

    found = runtime.run(tensor)

    plain = interpreter.Interpreter(str(path), num_threads=1)
    plain.allocate_tensors()
    plain.set_tensor(plain.get_input_details()[0]["index"], tensor)
    plain.invoke()
    (out,) = plain.get_output_details()
    step, zero = out["quantization"]
    expected = (plain.get_tensor(out["index"]).astype(np.float64) - zero) * step
    assert found.shape == shape
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.mirror
def test_pixels_become_integers_by_the_files_own_scale(manifest):
    path = weights("yolo26n_640_int8_broken.tflite")
    backend = LiteRtBackend(manifest, path, wanted=("person",), build=manifest.builds[0])

    found = backend.infer(np.full((2, 640, 640, 3), 114, np.uint8))

    # q(1/255, -128): the pixel 114 is the integer -14, 0 is -128 and 255 is 127.
    assert backend._integers[[0, 114, 255]].tolist() == [-128, -14, 127]
    assert found.shape == (2, 300, 6)


@pytest.mark.mirror
def test_a_float_file_under_an_int8_layout_is_refused(manifest):
    path = weights("yolo26n_640_dynamic_range.tflite")

    with pytest.raises(BundleError, match=r"input is float32 \[1, 640, 640, 3\].* says int8"):
        LiteRtBackend(manifest, path, wanted=("person",), build=manifest.builds[0])


@pytest.mark.mirror
def test_a_file_for_the_edge_tpu_is_not_run_without_one(manifest):
    try:
        check_edge_tpu()
    except BackendUnavailableError:
        pass
    else:
        pytest.skip("libedgetpu is installed")

    with pytest.raises(BackendUnavailableError, match="litert-edgetpu: libedgetpu"):
        LiteRtRuntime(weights("yolov8n_320_int8_edgetpu.tflite"), threads=1)


@pytest.mark.mirror
def test_an_edge_tpu_that_does_not_answer_is_said_so(tmp_path):
    """A library that is there, and finds no device: what an unplugged stick looks like."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("wants a C compiler")
    source, library = tmp_path / "dead.c", tmp_path / "libedgetpu.so.1"
    source.write_text(DEAD_TPU)
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, source], check=True, timeout=60)

    with pytest.raises(BackendUnavailableError, match="no Edge TPU answers"):
        LiteRtRuntime(
            weights("yolov8n_320_int8_edgetpu.tflite"), threads=1, edge_tpu_library=str(library)
        )


@pytest.mark.parametrize("content", [b"", b"TFL3", b"no model " * 500])
def test_a_file_that_is_no_tflite_is_refused_in_one_line(tmp_path, content):
    path = tmp_path / "model.tflite"
    path.write_bytes(content)

    with pytest.raises(BundleError, match=r"model\.tflite: not a TFLite model") as error:
        LiteRtRuntime(path, threads=1)

    assert "\n" not in str(error.value)


@pytest.mark.mirror
def test_a_tflite_that_is_cut_off_is_refused(tmp_path):
    content = weights("yolov8n_416_int8.tflite").read_bytes()
    path = tmp_path / "model.tflite"
    path.write_bytes(content[: len(content) // 2])

    with pytest.raises(BundleError, match="not a TFLite model"):
        LiteRtRuntime(path, threads=1)
