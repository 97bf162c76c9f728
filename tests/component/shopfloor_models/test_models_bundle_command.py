"""Bundles as a person handles them at the command line; no training is needed."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from shopfloor_models.bundle import unpack
from shopfloor_models.main import main

SHIPPED = Path(__file__).resolve().parents[3] / "models" / "zoo" / "person-nano"
TIMEOUT_S = 60
SIDE_PX = 64


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """person-nano, unpacked, to be changed at will."""
    return Path(shutil.copytree(SHIPPED, tmp_path / "person-nano"))


def dataset(folder: Path, *, classes: str = '["person"]', pictures: int = 2) -> Path:
    """Write pictures that show nobody, half of them for validation."""
    (folder / "labels").mkdir(parents=True)
    (folder / "images").mkdir()
    random = np.random.default_rng(2)
    for number in range(pictures):
        picture = random.integers(0, 255, (90, 120, 3), np.uint8)
        cv2.imwrite(str(folder / "images" / f"s{number}_0.png"), picture)
        (folder / "labels" / f"s{number}_0.txt").write_text("0 0.5 0.5 0.4 0.6\n")
    path = folder / "data.toml"
    path.write_text(
        f'name = "tiny"\nversion = "1"\nclasses = {classes}\n\n[[sources]]\nname = "noise"\n'
        'images = "images"\nlabels = "labels"\nlicence_class = "own"\nscene = "^(s[0-9]+)_"\n'
    )
    return path


def plain_network(path: Path, *, columns: int = 6) -> Path:
    """Write a network of one convolution with an output like YOLOX's: nothing is ever sure."""
    weights = np.random.default_rng(4).normal(0, 1e-3, (columns, 3, 8, 8)).astype(np.float32)
    count = (SIDE_PX // 8) ** 2
    shape = np.array([1, columns, count])
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["images", "w"], ["cells"], strides=[8, 8]),
            helper.make_node("Sigmoid", ["cells"], ["sure"]),
            helper.make_node("Reshape", ["sure", "shape"], ["flat"]),
            helper.make_node("Transpose", ["flat"], ["output"], perm=[0, 2, 1]),
        ],
        "plain",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, SIDE_PX, SIDE_PX])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, [1, count, columns])],
        [numpy_helper.from_array(weights, "w"), numpy_helper.from_array(shape, "shape")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, path)
    return path


def change_manifest(folder: Path, **changes: object) -> None:
    path = folder / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def command(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "shopfloor_models.main", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )


def one_line(capsys: pytest.CaptureFixture[str]) -> str:
    err = capsys.readouterr().err
    assert err.count("\n") == 1, err
    return err


def test_packing_twice_gives_one_digest(tmp_path: Path) -> None:
    digests = []
    for name in ("first", "second"):
        source = Path(shutil.copytree(SHIPPED, tmp_path / name / "person-nano"))
        for path in source.iterdir():
            # Another day, another owner's habits: nothing of it may be seen.
            os.utime(path, (time.time(), 1_000_000_000 + len(digests) * 86_400))
            path.chmod(0o600 if digests else 0o644)
        out = tmp_path / name / "out.bundle"

        done = command("pack", source, "--out", out, "--json")

        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["sha256"] == hashlib.sha256(out.read_bytes()).hexdigest()
        digests.append(json.loads(done.stdout)["sha256"])
    assert digests[0] == digests[1]


def test_a_packed_bundle_is_verified_with_its_golden_clip(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    packed = tmp_path / "a.bundle"
    assert main(["pack", str(folder), "--out", str(packed)]) == 0
    capsys.readouterr()

    code = main(["verify", str(packed), "--json"])

    (build,) = json.loads(capsys.readouterr().out)["builds"]
    assert code == 0
    assert build["state"] == "passed"
    assert build["difference"]["expected"] >= 4


@pytest.mark.parametrize("name", ["person-nano", "folder"])
def test_a_zoo_name_and_a_folder_are_verified_too(
    name: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main(["verify", str(folder) if name == "folder" else name])

    assert code == 0
    assert "passed" in capsys.readouterr().out


def test_a_build_that_finds_something_else_is_exit_2(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Another network under a manifest that vouches for it: digests are right, findings not."""
    path = folder / "person-nano-fp32.onnx"
    model = onnx.load(path)
    conv = next(node for node in model.graph.node if node.op_type == "Conv")
    weights = next(one for one in model.graph.initializer if one.name == conv.input[1])
    swapped = np.ascontiguousarray(numpy_helper.to_array(weights)[:, ::-1])
    weights.CopyFrom(numpy_helper.from_array(swapped, weights.name))
    onnx.save(model, path)
    content = path.read_bytes()
    build = {
        "target": "onnx-fp32",
        "file": path.name,
        "sha256": hashlib.sha256(content).hexdigest(),
        "size_bytes": len(content),
    }
    change_manifest(folder, builds=[build])

    code = main(["verify", str(folder)])

    assert code == 2
    assert "detections are missing and" in one_line(capsys)


def test_a_changed_file_is_named_with_both_digests(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = folder / "person-nano-fp32.onnx"
    path.write_bytes(path.read_bytes()[:-1] + b"x")

    code = main(["verify", str(folder)])

    line = one_line(capsys)
    assert code == 2
    assert "person-nano-fp32.onnx: sha256 is" in line
    assert "manifest says" in line


def test_a_bundle_without_a_clip_is_verified_by_digest_only(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change_manifest(folder, golden=None)

    code = main(["verify", str(folder), "--json"])

    (build,) = json.loads(capsys.readouterr().out)["builds"]
    assert code == 0
    assert (build["state"], build["reason"]) == ("not run", "the bundle has no golden clip")


def test_what_is_shipped_passes_the_gates_for_it(capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["gate", "person-nano", "--gates", "shipped", "--json"])

    verdicts = json.loads(capsys.readouterr().out)["builds"]["person-nano onnx-fp32"]
    assert code == 0
    assert {one["gate"] for one in verdicts} >= {"AP", "robustness", "robustness to the reference"}


def test_a_bundle_that_nobody_measured_does_not_pass(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change_manifest(folder, evaluation=[])

    code = main(["gate", str(folder), "--gates", "shipped"])

    assert code == 2
    assert "AP was not measured, limit 0.15" in one_line(capsys)


def test_a_bundle_is_measured_on_a_dataset_and_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = tmp_path / "report.html"
    arguments = ["--data", str(dataset(tmp_path / "data")), "--report", str(report)]

    code = main(["evaluate", "person-nano", *arguments, "--robustness", "--json"])

    content = json.loads(capsys.readouterr().out)
    assert code == 0
    assert content["pictures"] == 1
    assert content["builds"][0]["target"] == "onnx-fp32"
    assert content["builds"][0]["latency_ratio"] == 1.0
    assert set(content["robustness"]) >= {"darkness", "rain", "shift"}
    assert "<svg" in report.read_text()


def test_measuring_refuses_a_bundle_that_a_gate_does_not_like(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = dataset(tmp_path / "data")
    gates = tmp_path / "gates.toml"
    gates.write_text('[[gates]]\nname = "mine"\nap_min = 0.9\n')

    code = main(
        ["gate", "person-nano", "--gates", "mine", "--file", str(gates), "--data", str(data)]
    )

    assert code == 2
    assert "person-nano onnx-fp32: AP is 0, at least 0.9" in one_line(capsys)


def test_a_class_that_the_bundle_does_not_know_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = dataset(tmp_path / "data", classes='["bottle"]')

    code = main(["evaluate", "person-nano", "--data", str(data)])

    assert code == 2
    assert "class 'bottle' of dataset tiny is not in the list of person-nano: person" in one_line(
        capsys
    )


def test_a_split_without_pictures_names_the_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = dataset(tmp_path / "data", pictures=1)

    code = main(["evaluate", "person-nano", "--data", str(data)])

    assert code == 2
    assert "0 pictures in val; --split train may have some" in one_line(capsys)


def test_exporting_twice_gives_one_bundle(tmp_path: Path) -> None:
    pictures = dataset(tmp_path / "data").parent / "images"
    network = plain_network(tmp_path / "plain.onnx")
    digests = []
    for name in ("first", "second"):
        out = tmp_path / name
        options = ["--class", "person", "--licence", "MIT", "--calibration", pictures]
        exported = command("export", network, "--out", out, *options)
        assert exported.returncode == 0, exported.stderr

        packed = command("pack", out, "--out", tmp_path / f"{name}.bundle", "--json")

        digests.append(json.loads(packed.stdout)["sha256"])
    manifest = unpack(tmp_path / "first.bundle", tmp_path / "unpacked")
    assert digests[0] == digests[1]
    assert manifest.licence == "MIT"
    assert manifest.golden is not None
    assert manifest.provenance is not None
    assert hashlib.sha256(network.read_bytes()).hexdigest() in manifest.provenance.recipe


@pytest.mark.parametrize(
    ("columns", "arguments", "message"),
    [
        (6, [], "no manifest says what it finds: give --class and --licence"),
        (6, ["--class", "a", "--class", "b", "--licence", "MIT"], "[6] values a box, expected 7"),
        (
            6,
            ["--class", "a", "--licence", "MIT", "--target", "onnx-int8"],
            "onnx-int8: integer builds want --calibration",
        ),
        (6, ["--class", "a", "--licence", "MIT", "--target", "abacus"], "target 'abacus' is"),
        (6, ["--class", "a", "--licence", "MIT", "--calibration", "none"], "none is no folder"),
    ],
)
def test_what_an_export_lacks_is_one_line(
    columns: int,
    arguments: list[str],
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    network = plain_network(tmp_path / "plain.onnx", columns=columns)

    code = main(["export", str(network), "--out", str(tmp_path / "out"), *arguments])

    assert code == 2
    assert message in one_line(capsys)
    assert not (tmp_path / "out").exists()


def test_a_serving_build_is_not_exported_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main(["export", "person-nano", "--out", str(tmp_path / "out")])

    assert code == 2
    assert "expected [1, 3, height, width] of a plain network" in one_line(capsys)


def test_a_packed_bundle_labels_footage(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    packed = tmp_path / "teacher.bundle"
    assert main(["pack", str(folder), "--out", str(packed)]) == 0
    footage = dataset(tmp_path / "data").parent / "images"
    out = tmp_path / "labelled"
    capsys.readouterr()

    code = main(["label", "--footage", str(footage), "--teacher", str(packed), "--out", str(out)])

    assert code == 0
    assert "2 pictures" in capsys.readouterr().out
    assert "teacher person-nano" in (out / "dataset.toml").read_text()


def test_a_damaged_bundle_teaches_nothing(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    packed = tmp_path / "teacher.bundle"
    assert main(["pack", str(folder), "--out", str(packed)]) == 0
    packed.write_bytes(packed.read_bytes()[:100_000])
    footage = dataset(tmp_path / "data").parent / "images"
    capsys.readouterr()

    code = main(
        ["label", "--footage", str(footage), "--teacher", str(packed), "--out", str(tmp_path / "l")]
    )

    assert code == 2
    assert "teacher.bundle" in one_line(capsys)
    assert not (tmp_path / "l" / "dataset.toml").exists()


FULL_DISK = """
mount -t tmpfs -o size={size} tmpfs {disk}
{python} -m shopfloor_models.main {arguments}
code=$?
find {disk} -type f
exit $code
"""


def on_a_small_disk(disk: Path, size: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run a command with ``disk`` as a real small disk in a mount namespace of its own."""
    probe = subprocess.run(["unshare", "-rm", "true"], capture_output=True, check=False)
    if probe.returncode:
        pytest.skip("wants user and mount namespaces (unshare -rm)")
    disk.mkdir()
    script = FULL_DISK.format(
        size=size, disk=disk, python=sys.executable, arguments=" ".join(map(str, arguments))
    )
    return subprocess.run(
        ["unshare", "-rm", "sh", "-c", script],
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )


def test_a_full_disk_leaves_no_half_bundle_and_says_what_is_free(
    folder: Path, tmp_path: Path
) -> None:
    disk = tmp_path / "disk"

    done = on_a_small_disk(disk, "1m", "pack", folder, "--out", disk / "a.bundle")

    assert done.returncode == 2
    assert done.stderr.count("\n") == 1, done.stderr
    assert "a.bundle: No space left on device" in done.stderr
    assert "bytes are free" in done.stderr
    assert done.stdout == ""


def test_a_full_disk_leaves_whole_frames_only(tmp_path: Path) -> None:
    disk, images = tmp_path / "disk", dataset(tmp_path / "data", pictures=12).parent / "images"

    done = on_a_small_disk(
        disk, "200k", "data", "frames", "--footage", images, "--out", disk / "frames"
    )

    written = done.stdout.split()
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1, done.stderr
    assert "No space left on device" in done.stderr
    assert "bytes are free" in done.stderr
    assert 0 < len(written) < 12
    assert all(name.endswith(".png") for name in written)


def test_a_full_disk_leaves_whole_labels_only(tmp_path: Path) -> None:
    disk, images = tmp_path / "disk", dataset(tmp_path / "data", pictures=12).parent / "images"
    arguments = "label --teacher person-nano --footage", images, "--out", disk / "labelled"

    done = on_a_small_disk(disk, "500k", *arguments)

    written = done.stdout.split()
    assert done.returncode == 2
    assert "bytes are free" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert 12 < len(written) < 36
    assert not [name for name in written if name.endswith((".part", "dataset.toml"))]


def test_a_full_disk_ends_an_export_in_one_line(tmp_path: Path) -> None:
    disk, network = tmp_path / "disk", plain_network(tmp_path / "plain.onnx")

    done = on_a_small_disk(
        disk, "4k", "export", network, "--class a --licence MIT --out", disk / "out"
    )

    assert done.returncode == 2
    assert done.stderr.count("\n") == 1, done.stderr
    assert "No space left on device" in done.stderr
    assert "manifest.json" not in done.stdout
