"""The command as a person types it; training is killed for real."""

import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

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
            "target 'cpu9' is unknown, expected one of onnx-fp32",
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


def no_label_file(dataset: Path) -> None:
    (dataset.parent / "labels" / "scene0_00.txt").unlink()


def no_labels(dataset: Path) -> None:
    shutil.rmtree(dataset.parent / "labels")


def class_out_of_list(dataset: Path) -> None:
    (dataset.parent / "labels" / "scene0_00.txt").write_text("3 0.5 0.5 0.2 0.2\n")


def no_picture(dataset: Path) -> None:
    (dataset.parent / "images" / "scene0_00.png").write_text("no picture")


def no_pictures(dataset: Path) -> None:
    for path in (dataset.parent / "images").iterdir():
        path.unlink()


def licence_not_allowed(dataset: Path) -> None:
    dataset.write_text(dataset.read_text().replace("[[", 'allowed_licences = ["cc-by"]\n[[', 1))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (no_label_file, "scene0_00.png: no labels in"),
        (no_labels, "labels do not exist"),
        (class_out_of_list, "scene0_00.png: "),
        (no_picture, "scene0_00.png: no picture that can be read"),
        (no_pictures, "dataset figures: 0 pictures in its sources"),
        (licence_not_allowed, "licence 'own' is not allowed, expected one of cc-by"),
    ],
)
def test_training_refuses_bad_data_in_one_line(
    dataset: Path,
    tmp_path: Path,
    spoil: Callable[[Path], None],
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    spoil(dataset)

    code = main(
        ["train", "--data", str(dataset), "--out", str(tmp_path / "run"), "--inherit", "none"]
    )

    err = capsys.readouterr().err
    assert code == 2
    assert message in err
    assert err.count("\n") == 1
    assert not (tmp_path / "run" / "bundle").exists()


def classifier(folder: Path) -> Path:
    """A network that names a picture and finds nothing in it, under a detector's manifest."""
    graph = helper.make_graph(
        [
            helper.make_node("ReduceMean", ["images"], ["mean"], axes=[2, 3], keepdims=0),
            helper.make_node("Concat", ["mean", "mean", "mean", "mean"], ["scores"], axis=1),
        ],
        "classifier",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, 64, 64])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, 12])],
    )
    folder.mkdir()
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, folder / "net.onnx")
    content = (folder / "net.onnx").read_bytes()
    build = {
        "target": "onnx-fp32",
        "file": "net.onnx",
        "sha256": hashlib.sha256(content).hexdigest(),
        "size_bytes": len(content),
    }
    preprocess = {
        "width_px": 64,
        "height_px": 64,
        "layout": "nchw-float32",
        "colour": "bgr",
        "letterbox": "top-left",
    }
    about = {"name": "namer", "version": "1", "licence": "MIT", "source": "a test"}
    rest = {"classes": ["person"], "head": "yolox", "preprocess": preprocess, "builds": [build]}
    (folder / "manifest.json").write_text(json.dumps(about | rest | {"task": "detect"}))
    return folder


@pytest.mark.parametrize("task", ["detect", "classify"])
def test_a_teacher_of_another_task_is_refused_in_one_line(
    task: str, dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    teacher = classifier(tmp_path / "namer")
    manifest = teacher / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"task": "detect"', f'"task": "{task}"'))
    footage = str(dataset.parent / "images")

    code = main(
        ["label", "--footage", footage, "--teacher", str(teacher), "--out", str(tmp_path / "out")]
    )

    err = capsys.readouterr().err
    assert code == 2
    assert ("expected 6 of a detector" if task == "detect" else "manifest.json: task") in err
    assert err.count("\n") == 1
    assert not (tmp_path / "out" / "dataset.toml").exists()


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


@pytest.mark.skipif(NO_TORCH, reason="wants torch and YOLOX: tools/setup-training.sh")
def test_the_same_training_gives_the_same_bundle(tmp_path: Path) -> None:
    digests = []
    for name in ("first", "second"):
        data = draw(tmp_path / name / "data")
        out = tmp_path / name / "run"
        command = [sys.executable, "-m", "shopfloor_models.main", "train", "--data", str(data)]
        command += ["--out", str(out), "--epochs", "1", "--input", "64x64", "--threads", "1"]

        done = subprocess.run(
            [*command, "--inherit", "none"],
            timeout=TIMEOUT_S,
            capture_output=True,
            text=True,
            check=False,
        )

        assert done.returncode == 0, done.stderr
        digests.append(hashlib.sha256((out / "figures-1.bundle").read_bytes()).hexdigest())
    assert digests[0] == digests[1]


@pytest.mark.skipif(NO_TORCH, reason="wants torch and YOLOX: tools/setup-training.sh")
def test_a_packed_bundle_is_inherited_from_and_gone_on_with(dataset: Path, tmp_path: Path) -> None:
    zoo = Path(__file__).resolve().parents[3] / "models" / "zoo" / "person-nano"
    parent, out = tmp_path / "parent.bundle", tmp_path / "run"
    assert main(["pack", str(zoo), "--out", str(parent)]) == 0
    command = ["train", "--data", str(dataset), "--out", str(out), "--input", "64x64"]
    command += ["--epochs", "1", "--inherit", str(parent), "--threads", "1"]

    codes = [main(command), main(command)]

    assert codes == [0, 0]
    manifest = json.loads((out / "bundle" / "manifest.json").read_text())
    assert manifest["provenance"]["inherits"].startswith("person-nano")
    assert manifest["golden"]["clip"] == "golden.npz"
    assert events(out).count("resumed") == 1
    assert main(["verify", str(out / "figures-1.bundle")]) == 0


FULL_DISK = """
mount -t tmpfs -o size=3m tmpfs {disk}
{python} -m shopfloor_models.main train --data {data} --out {disk}/run --epochs 1 \\
  --input 64x64 --inherit none --threads 1 2> {err}
code=$?
find {disk} -name '*.part' -o -name '*.bundle'
exit $code
"""


@pytest.mark.skipif(NO_TORCH, reason="wants torch and YOLOX: tools/setup-training.sh")
def test_a_training_on_a_full_disk_says_so_in_one_line(dataset: Path, tmp_path: Path) -> None:
    probe = subprocess.run(["unshare", "-rm", "true"], capture_output=True, check=False)
    if probe.returncode:
        pytest.skip("wants user and mount namespaces (unshare -rm)")
    disk, err = tmp_path / "disk", tmp_path / "err"
    disk.mkdir()
    script = FULL_DISK.format(disk=disk, python=sys.executable, data=dataset, err=err)

    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", script],
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )

    last = err.read_text().splitlines()[-1]
    assert done.returncode == 2, err.read_text()
    assert "checkpoint.pt" in last
    assert "bytes are free" in last
    assert "Traceback" not in err.read_text()
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--inherit", "yolox-nano"], "weights can be inherited at 0.25 only"),
        (["--trainer", "ultralytics"], "--width is for the trainer yolox"),
    ],
)
def test_another_width_inherits_nothing(
    dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str], words: str
) -> None:
    argv = ["train", "--data", str(dataset), "--out", str(tmp_path / "out"), "--width", "0.125"]

    assert main([*argv, *more]) == 2

    assert words in capsys.readouterr().err
