"""The command as a person types it; training is killed for real."""

import importlib.util
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from shopfloor_models.main import main
from shopfloor_models.smoke import draw

NO_TORCH = importlib.util.find_spec("torch") is None or importlib.util.find_spec("yolox") is None
TIMEOUT_S = 50


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    return draw(tmp_path / "data")


def events(run: Path) -> list[str]:
    path = run / "run.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    return [json.loads(line)["event"] for line in lines]


def test_a_good_dataset_passes(dataset: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["data", "check", str(dataset), "--json"])

    report = json.loads(capsys.readouterr().out)
    assert code == 0
    assert report["pictures"] == {"train": 24, "val": 8}


def test_a_bad_dataset_is_the_operators(dataset: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (dataset.parent / "images" / "scene0_00.png").write_text("no picture")

    code = main(["data", "check", str(dataset)])

    assert code == 2
    assert "error: picture: drawn/scene0_00.png" in capsys.readouterr().out


def test_splits_are_shown_and_written_as_coco(
    dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main(["data", "split", str(dataset), "--coco", str(tmp_path / "coco")])

    assert code == 0
    assert "drawn/scene0" in capsys.readouterr().out
    assert len(json.loads((tmp_path / "coco" / "val.json").read_text())["images"]) == 8


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["data", "check", "none.toml"], "none.toml: No such file"),
        (["data", "frames", "--footage", "none", "--out", "out"], "none does not exist"),
        (["inspect", "none.bundle"], "none.bundle"),
        (
            ["train", "--data", "none.toml", "--out", "out", "--target", "cpu9"],
            "target 'cpu9' is not known, expected onnx-fp32",
        ),
        (["label", "--footage", "x", "--out", "y", "--teacher", "nobody"], "not in the zoo"),
    ],
)
def test_a_mistake_is_one_line_and_exit_2(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)

    code = main(arguments)

    err = capsys.readouterr().err
    assert code == 2
    assert message in err
    assert err.count("\n") == 1


@pytest.mark.skipif(not NO_TORCH, reason="torch is installed")
def test_without_torch_the_extra_is_named(
    dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main(["train", "--data", str(dataset), "--out", str(tmp_path / "run")])

    assert code == 2
    assert "shopfloor-models[train]" in capsys.readouterr().err


@pytest.mark.skipif(NO_TORCH, reason="wants torch and YOLOX: tools/setup-training.sh")
def test_a_killed_training_goes_on_and_ends_in_a_bundle(dataset: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    command = [sys.executable, "-m", "shopfloor_models.main", "train", "--data", str(dataset)]
    command += ["--out", str(out), "--epochs", "8", "--input", "64x64", "--inherit", "none"]
    command += ["--threads", "1"]
    first = subprocess.Popen(command, env=dict(os.environ), stderr=subprocess.DEVNULL)
    ends_at_s = time.monotonic() + TIMEOUT_S
    while not (out / "checkpoint.pt").exists() and first.poll() is None:
        assert time.monotonic() < ends_at_s
        time.sleep(0.05)  # another process is waited for, so no fake clock helps

    first.kill()
    first.wait()
    interrupted = events(out)
    done = subprocess.run(command, timeout=TIMEOUT_S, capture_output=True, text=True, check=False)

    assert "trained" not in interrupted
    assert done.returncode == 0, done.stderr
    assert events(out).count("resumed") == 1
    assert events(out).count("epoch") in (8, 9)  # the killed epoch may be told twice
    assert main(["inspect", str(out / "figures-1.bundle")]) == 0
