"""``shopfloor-edge doctor`` as an operator types it; libraries that crash or hang are real ones."""

import json
import os
import subprocess
import sys
import time

import numpy as np
import pytest

from fakes.detector import make_zoo, write_model, zoo_environment
from shopfloor_edge.doctor.child import ask

SITE = """site = "s"
device = "d"
time_zone = "Europe/Berlin"
[model]
backend = "{backend}"
[[cameras]]
name = "door"
uri = "{uri}"
"""


def doctor(*arguments, env, timeout=110):
    return subprocess.run(
        [sys.executable, "-m", "shopfloor_edge.main", "doctor", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        env={**os.environ, **env},
    )


@pytest.fixture
def environment(tmp_path):
    return zoo_environment(make_zoo(tmp_path / "zoo"), tmp_path / "cache")


@pytest.fixture
def site(tmp_path):
    def write(backend="auto", uri="rtsp://10.0.0.7/stream2"):
        path = tmp_path / "site.toml"
        path.write_text(SITE.format(backend=backend, uri=uri))
        return path

    return write


def module_that(tmp_path, name, text):
    """Put a module of that name before the real one, and return the environment for it."""
    folder = tmp_path / "modules"
    folder.mkdir()
    (folder / f"{name}.py").write_text(text)
    return {"PYTHONPATH": str(folder)}


def by_name(done):
    return {row["name"]: row for row in json.loads(done.stdout)["findings"]}


def test_a_device_on_which_the_model_runs_says_what_vision_would_use(tmp_path, environment, site):
    done = doctor("--site", site(), "--state", tmp_path / "state", "--json", env=environment)

    found = by_name(done)
    assert found["onnxruntime onnx-fp32"]["level"] == "ok"
    assert found["used by vision"]["found"] == 'onnxruntime (backend = "auto")'
    assert found["time zone"]["found"].startswith("Europe/Berlin")
    assert found["state folder"]["level"] == "ok"
    healthy = all(row["level"] != "bad" for row in found.values())
    assert done.returncode == (0 if healthy else 2)
    assert json.loads(done.stdout)["healthy"] is healthy
    assert not (tmp_path / "state").exists()


def test_a_missing_model_is_exit_2_and_says_how_to_get_it(tmp_path, environment):
    (tmp_path / "zoo" / "models" / "tiny.onnx").unlink()

    done = doctor("--state", tmp_path / "state", env=environment)

    assert done.returncode == 2
    assert "✗ onnxruntime onnx-fp32" in done.stdout
    assert "shopfloor-edge fetch" in done.stdout
    assert "motion: figures are marked degraded" in done.stdout
    assert done.stdout.rstrip().splitlines()[-1].startswith("not healthy: ")
    assert done.stderr == ""


def test_a_runtime_that_crashes_is_reported_and_not_suffered(tmp_path, environment, site):
    crash = module_that(tmp_path, "openvino", "import os\nos.abort()\n")
    path = tmp_path / "zoo" / "models" / "tiny.onnx"
    assert path.is_file()

    done = doctor("--site", site("openvino"), "--json", env={**environment, **crash})

    found = by_name(done)
    assert done.returncode == 2
    assert found["openvino onnx-fp32"]["level"] == "bad"
    assert found["openvino onnx-fp32"]["found"] == "crashed: SIGABRT"
    assert found["onnxruntime onnx-fp32"]["level"] == "ok"
    assert found["used by vision"]["level"] == "bad"


def test_a_runtime_that_hangs_is_ended(tmp_path, environment, monkeypatch):
    hang = module_that(tmp_path, "openvino", "import time\ntime.sleep(600)\n")
    for name, value in {**environment, **hang}.items():
        monkeypatch.setenv(name, value)
    started_s = time.monotonic()

    answer = ask("backend", "person-nano", "openvino", "onnx-fp32", limit_s=5)

    assert answer.failure == "no answer within 5 s"
    assert time.monotonic() - started_s < 30


def test_a_model_that_is_another_one_is_reported_in_its_own_words(
    tmp_path, environment, monkeypatch
):
    write_model(tmp_path / "zoo" / "models" / "tiny.onnx", np.zeros((1, 300, 6), np.float32))
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    answer = ask("backend", "person-nano", "onnxruntime", "onnx-fp32", limit_s=60)

    assert "tiny.onnx: sha256 is" in answer.values["broken"]


def test_a_camera_that_is_not_plugged_in_is_exit_2(tmp_path, environment, site):
    done = doctor("--site", site(uri="/dev/video97"), "--state", tmp_path, env=environment)

    assert done.returncode == 2
    assert "/dev/video97: No such file" in done.stdout


def test_a_site_file_that_is_wrong_is_one_line_and_exit_2(tmp_path, environment, site):
    done = doctor("--site", site(backend="fastest"), env=environment)

    assert done.returncode == 2
    assert "model.backend is 'fastest'" in done.stderr
    assert done.stdout == ""
