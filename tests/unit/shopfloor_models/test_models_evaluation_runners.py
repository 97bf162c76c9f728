from pathlib import Path

import numpy as np
import onnx
import pytest

from fakes.networks import network, pictures
from shopfloor_models.errors import DataError
from shopfloor_models.evaluation.runners import open_runner
from shopfloor_models.evaluation.speed import Input, compare
from shopfloor_models.export.onnx_fold import fold


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.onnx"
    onnx.save(fold(network()), path)
    return path


def test_openvino_reads_the_same_rows_from_the_same_file(path: Path) -> None:
    pytest.importorskip("openvino", reason="wants the extra openvino of shopfloor-models")
    runners = [open_runner(path), open_runner(path, "openvino")]

    rows = [
        np.concatenate([runner.run(runner.tensor(picture, 1.0)) for picture in pictures(6)])
        for runner in runners
    ]

    np.testing.assert_allclose(rows[1], rows[0], atol=1e-3)


def test_one_file_is_timed_on_two_runtimes(path: Path) -> None:
    pytest.importorskip("openvino", reason="wants the extra openvino of shopfloor-models")

    speeds = compare(
        {"here": path, "there": path},
        reference="here",
        given=Input(64, 64),
        rounds=3,
        runtimes={"there": "openvino"},
    )

    assert [speed.name for speed in speeds] == ["here", "there"]
    assert speeds[0].latency_ratio == 1.0
    # OpenVINO's libraries alone take tens of megabytes.
    assert speeds[1].rss_bytes > speeds[0].rss_bytes + 10_000_000


def test_a_file_that_openvino_cannot_compile_is_named(tmp_path: Path) -> None:
    pytest.importorskip("openvino", reason="wants the extra openvino of shopfloor-models")
    path = tmp_path / "notes.onnx"
    path.write_bytes(b"not a network")

    with pytest.raises(DataError, match=r"notes\.onnx: not a model that OpenVINO can compile"):
        open_runner(path, "openvino")


def test_a_suffix_that_nothing_runs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"suffix '\.pt', expected one of \.onnx, \.tflite"):
        open_runner(tmp_path / "weights.pt")
