"""The AGPL trainer: that nobody comes near it, and that it trains where it is installed."""

import ast
import importlib.util
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from shopfloor_models.data.samples import Sample
from shopfloor_models.errors import DataError, TrainingError
from shopfloor_models.judgement import warn_of_licence
from shopfloor_models.main import main
from shopfloor_models.smoke import draw
from shopfloor_models.training.parents import own_weights
from shopfloor_models.training.ultralytics import take_bgr_bytes, write_data

ROOT = Path(__file__).resolve().parents[3]
ONLY = ROOT / "models/src/shopfloor_models/training/ultralytics.py"
INSTALLED = {
    name: importlib.util.find_spec(name) is not None for name in ("torch", "yolox", "ultralytics")
}
TIMEOUT_S = 100


def imports_ultralytics(path: Path) -> bool:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names = [node.module or ""]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            # importlib and __import__ take a name; the dotted ones are told by their first part.
            names = [node.value] if " " not in node.value else []
            names = [name for name in names if called_with(path, name)]
        else:
            continue
        if any(name.split(".")[0] == "ultralytics" for name in names):
            return True
    return False


def called_with(path: Path, name: str) -> bool:
    """Return whether a call that imports by name is given ``name`` somewhere in the file."""
    calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    return any(
        ast.unparse(call.func).split(".")[-1] in ("import_module", "__import__", "find_spec")
        and any(isinstance(a, ast.Constant) and a.value == name for a in call.args)
        for call in calls
    )


def sources() -> list[Path]:
    folders = ("services", "edge", "models", "cloud", "dashboards", "tools")
    return [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]


def test_one_module_imports_ultralytics_and_no_other() -> None:
    assert [path for path in sources() if imports_ultralytics(path)] == [ONLY]


@pytest.mark.parametrize(
    "code",
    [
        "import ultralytics.nn as nn",
        "from ultralytics import YOLO",
        "import importlib\nimportlib.import_module('ultralytics.models')",
        "def f():\n    return __import__('ultralytics')",
    ],
)
def test_an_import_in_another_module_would_be_seen(tmp_path: Path, code: str) -> None:
    (tmp_path / "planted.py").write_text(code)

    assert imports_ultralytics(tmp_path / "planted.py")


def test_the_command_does_not_load_the_module_unasked() -> None:
    code = (
        "import sys, shopfloor_models.main;"
        "print([n for n in sys.modules if n.split('.')[-1] == 'ultralytics'])"
    )

    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )

    assert found.stdout.strip() == "[]"


def test_no_distribution_needs_it_outside_an_extra() -> None:
    for path in [*ROOT.glob("*/pyproject.toml"), *ROOT.glob("*/*/pyproject.toml")]:
        before_extras = path.read_text().split("[project.optional-dependencies]")[0]
        assert "ultralytics" not in before_extras, path


@pytest.mark.skipif(INSTALLED["torch"] and INSTALLED["ultralytics"], reason="it is installed")
def test_where_it_is_absent_the_extra_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = draw(tmp_path / "data")

    code = main(
        ["train", "--data", str(data), "--out", str(tmp_path / "r"), "--trainer", "ultralytics"]
    )

    err = capsys.readouterr().err
    missing = "ultralytics" if INSTALLED["torch"] and INSTALLED["yolox"] else "train"
    assert code == 2
    assert f"shopfloor-models[{missing}]" in err


def test_the_operator_is_told_that_the_release_gate_refuses_the_licence() -> None:
    said: list[str] = []

    warn_of_licence("my-shop", "AGPL-3.0", say=said.append)

    assert said[0].startswith("my-shop cannot be released: licence is AGPL-3.0, allowed: Apache-2")


def test_nothing_is_said_of_a_licence_that_may_be_released() -> None:
    said: list[str] = []

    warn_of_licence("my-shop", "Apache-2.0", say=said.append)

    assert said == []


def test_two_pictures_of_one_name_stay_two(tmp_path: Path) -> None:
    samples = []
    for folder, left in (("a", 0.1), ("b", 0.3)):
        (tmp_path / folder).mkdir()
        picture = tmp_path / folder / "x.PNG"
        picture.write_bytes(folder.encode())
        box = np.array([[left, 0.2, left + 0.2, 0.6]], np.float32)
        samples.append(Sample(picture, box, np.zeros(1, np.int64), folder, "own"))

    yaml = write_data(samples, ["person"], tmp_path / "data")

    assert json.loads(yaml.read_text())["names"] == {"0": "person"}
    assert (tmp_path / "data/images/000001.png").read_bytes() == b"b"
    assert (tmp_path / "data/labels/000000.txt").read_text().startswith("0 0.200000 0.400000")


def test_bgr_bytes_give_what_rgb_shares_gave(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    weights = random.normal(size=(4, 3, 3, 3)).astype(np.float32)
    save_network(tmp_path / "net.onnx", weights, "Conv")
    rgb = random.integers(0, 256, (1, 3, 8, 8)).astype(np.float32)
    expected = run(tmp_path / "net.onnx", rgb / 255)

    take_bgr_bytes(tmp_path / "net.onnx")

    found = run(tmp_path / "net.onnx", np.ascontiguousarray(rgb[:, ::-1]))
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_network_that_begins_with_something_else_is_refused(tmp_path: Path) -> None:
    save_network(tmp_path / "net.onnx", np.ones((3, 3, 1, 1), np.float32), "Relu")

    with pytest.raises(TrainingError, match="one convolution"):
        take_bgr_bytes(tmp_path / "net.onnx")


def save_network(path: Path, weights: np.ndarray, kind: str) -> None:
    inputs = ["x", "w"] if kind == "Conv" else ["x"]
    graph = helper.make_graph(
        [helper.make_node(kind, inputs, ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(weights, "w")] if kind == "Conv" else [],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, path)


def run(path: Path, picture: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {"x": picture})[0])


def test_weights_of_another_kind_are_refused() -> None:
    with pytest.raises(DataError, match=r"expected a \.pt file"):
        own_weights("yolox-nano", suffix=".pt", licence="AGPL-3.0")


def test_own_weights_are_named_with_digest_and_licence(tmp_path: Path) -> None:
    (tmp_path / "mine.pt").write_bytes(b"x")

    parent = own_weights(str(tmp_path / "mine.pt"), suffix=".pt", licence="AGPL-3.0")

    assert parent is not None
    assert parent.origin == "mine.pt, sha256 2d711642b726b044 (AGPL-3.0)"


@pytest.mark.timeout(240)
@pytest.mark.skipif(
    not all(INSTALLED.values()), reason="wants TRAINER=ultralytics tools/setup-training.sh"
)
def test_a_killed_training_goes_on_and_ends_in_a_bundle_that_says_agpl(tmp_path: Path) -> None:
    out, data = tmp_path / "run", draw(tmp_path / "data")
    command = [sys.executable, "-m", "shopfloor_models.main", "train", "--data", str(data)]
    command += ["--out", str(out), "--epochs", "4", "--input", "64x96", "--threads", "1"]
    command += ["--trainer", "ultralytics"]
    first = subprocess.Popen(command, env=dict(os.environ), stderr=subprocess.DEVNULL)
    ends_at_s = time.monotonic() + TIMEOUT_S
    while not (out / "checkpoint.pt").exists() and first.poll() is None:
        assert time.monotonic() < ends_at_s
        time.sleep(0.05)  # another process is waited for, so no fake clock helps

    first.kill()
    first.wait()
    done = subprocess.run(command, timeout=TIMEOUT_S, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert "cannot be released: licence is AGPL-3.0" in done.stderr
    manifest = json.loads((out / "bundle/manifest.json").read_text())
    assert (manifest["licence"], manifest["head"]) == ("AGPL-3.0", "end2end")
    assert (manifest["preprocess"]["width_px"], manifest["preprocess"]["height_px"]) == (64, 96)
    epochs = [json.loads(line) for line in (out / "run.jsonl").read_text().splitlines()]
    told = [line["epoch"] for line in epochs if line["event"] == "epoch"]
    assert told[-1] == 4
    assert len(told) in (4, 5)  # the killed epoch may be told twice
