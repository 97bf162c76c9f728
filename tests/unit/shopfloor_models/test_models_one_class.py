"""Learning good parts: what is remembered, where limits lie, and the file that comes out."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper

from fakes.boards import board, moved, noisy
from shopfloor_contracts.bundles import Head, parse_manifest
from shopfloor_models.bundle import check_files
from shopfloor_models.commands.one_class import Eyes, Wish, filled, make, read_parts, study
from shopfloor_models.errors import DataError, ExportError
from shopfloor_models.export.onnx_patches import features, scores
from shopfloor_models.main import main
from shopfloor_models.training.one_class import Levels, Memory, levels, remember
from shopfloor_models.training.teacher import find_model

GOOD = board()


@pytest.fixture(scope="module")
def eyes() -> Eyes:
    return Eyes(find_model("person-nano"))


@pytest.fixture(scope="module")
def parts() -> list[np.ndarray]:
    return [filled(noisy(moved(GOOD, at % 5 - 2, at % 3 - 1), seed=at)) for at in range(10)]


def write_pictures(folder: Path, pictures: list[np.ndarray]) -> Path:
    folder.mkdir()
    for number, picture in enumerate(pictures):
        cv2.imwrite(str(folder / f"{number:02}.png"), picture)
    return folder


def test_the_bank_spreads_over_what_was_seen() -> None:
    random = np.random.default_rng(1)
    places = random.normal(0, 10, (5, 3))
    patches = (np.repeat(places, 200, 0) + random.normal(0, 0.1, (1000, 3))).astype(np.float32)

    memory = remember(patches, 5)

    assert memory.distances(places.astype(np.float32)).max() < 0.1
    assert memory.distances(np.full((1, 3), 60, np.float32))[0] > 1


def test_fewer_patches_than_are_to_be_remembered_are_refused() -> None:
    with pytest.raises(DataError, match="3 patches of good parts, expected at least 4"):
        remember(np.zeros((3, 2), np.float32), 4)


def test_limits_are_exceeded_as_often_as_was_asked_for() -> None:
    random = np.random.default_rng(3)
    found = levels(random.gumbel(2, 0.3, 20_000).astype(np.float32), reviewed=0.02, failed=0.001)

    others = random.gumbel(2, 0.3, 1_000_000)

    assert (others > found.review).mean() == pytest.approx(0.02, rel=0.1)
    assert (others > found.fail).mean() == pytest.approx(0.001, rel=0.2)


@pytest.mark.parametrize(("reviewed", "failed"), [(0.1, 0.1), (0.1, 0.2), (1.0, 0.1), (0.1, 0.0)])
def test_shares_that_cannot_be_are_refused(reviewed: float, failed: float) -> None:
    with pytest.raises(DataError, match="expected 0 < failed < reviewed < 1"):
        levels(np.arange(4.0, dtype=np.float32), reviewed=reviewed, failed=failed)


def test_the_file_scores_as_the_memory_does(eyes: Eyes, parts: list[np.ndarray]) -> None:
    memory, limits = study(eyes, parts, Wish("valve", patches=200))
    content = scores(eyes.model, memory, limits).SerializeToString()
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])

    found = session.run(None, {"parts": parts[0][None, :, :, None]})[0]

    height, width = parts[0].shape
    assert found.shape == (1, height // 8, width // 8)
    distances = memory.distances(eyes.look(parts[0]))
    slope = np.log(4) / (limits.fail - limits.review)
    wanted = 1 / (1 + np.exp(-slope * (distances - limits.fail)))
    np.testing.assert_allclose(found[0, 2:-2, 2:-2].reshape(-1), wanted, atol=2e-3)


def test_the_score_is_a_fifth_where_people_are_asked_and_a_half_where_a_part_fails(
    eyes: Eyes,
) -> None:
    part = np.full((64, 64), 90, np.uint8)
    far = Memory(
        np.zeros((1, eyes.look(part).shape[1]), np.float32),
        *(np.full(eyes.look(part).shape[1], value, np.float32) for value in (0, 1)),
    )
    at = float(far.distances(eyes.look(part))[0])

    for limits, wanted in ((Levels(at, at + 1), 0.2), (Levels(at - 1, at), 0.5)):
        content = scores(eyes.model, far, limits).SerializeToString()
        session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
        found = session.run(None, {"parts": part[None, :, :, None]})[0]
        assert found[0, 2, 2] == pytest.approx(wanted, abs=1e-3)


def test_the_bundle_is_whole_and_the_same_each_time(
    eyes: Eyes, parts: list[np.ndarray], tmp_path: Path
) -> None:
    manifests = [
        make(eyes, parts, Wish("valve", patches=100), out=tmp_path / name) for name in "ab"
    ]

    assert manifests[0] == manifests[1]
    read = parse_manifest((tmp_path / "a" / "manifest.json").read_text(), source="a")
    assert (read.task, read.head) == ("score-patches", Head.PATCHES)
    assert (read.preprocess.width_px, read.preprocess.height_px) == parts[0].shape[::-1]
    check_files(read, tmp_path / "a")


def test_the_command_learns_from_a_folder(
    tmp_path: Path, parts: list[np.ndarray], capsys: pytest.CaptureFixture[str]
) -> None:
    good = write_pictures(tmp_path / "valves", parts)

    code = main(["one-class", "--good", str(good), "--backbone", "person-nano", "--patches", "100",
                 "--out", str(tmp_path / "out")])  # fmt: skip

    assert code == 0, capsys.readouterr().err
    assert (tmp_path / "out" / "valves-fp32.onnx").is_file()


def test_pictures_that_cannot_teach_are_refused(tmp_path: Path) -> None:
    few = write_pictures(tmp_path / "few", [GOOD] * 7)
    uneven = write_pictures(tmp_path / "uneven", [GOOD] * 9 + [GOOD[:-40]])
    broken = write_pictures(tmp_path / "broken", [GOOD] * 9)
    (broken / "03.png").write_bytes(b"no picture")

    for folder, said in (
        (few, "7 pictures of good parts, expected at least 8"),
        (uneven, "size is 320 x 280, other than that of 00.png"),
        (broken, "03.png: no picture"),
    ):
        with pytest.raises(DataError, match=said):
            read_parts(folder)


def test_a_network_without_the_right_depths_is_refused() -> None:
    flat = helper.make_model(
        helper.make_graph(
            [helper.make_node("Relu", ["images"], ["out"])], "flat",
            [helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, 64, 64])],
            [helper.make_tensor_value_info("out", TensorProto.FLOAT, [1, 3, 64, 64])],
        ),
        opset_imports=[helper.make_opsetid("", 17)], ir_version=8,
    )  # fmt: skip

    with pytest.raises(ExportError, match="no layer of stride 4"):
        features(flat, takes_bytes=False, scale=1.0)
