"""Training of the network that names differences."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from shopfloor_contracts.bundles import parse_manifest
from shopfloor_models.bundle import check_files
from shopfloor_models.errors import DataError
from shopfloor_models.recipes.differences import load, make
from shopfloor_models.training.differences import Labelled, Settings, moved_about, train
from shopfloor_models.training.torch_compat import import_torch

NO_TORCH = importlib.util.find_spec("torch") is None or importlib.util.find_spec("yolox") is None
wants_torch = pytest.mark.skipif(NO_TORCH, reason="wants torch: tools/setup-training.sh")
FEW = Settings(epochs=1, batch=16)


def blocks(count: int = 32) -> Labelled:
    """A bright block in the part; its label says whether it is also in the reference."""
    random = np.random.default_rng(1)
    windows = np.zeros((count, 96, 96, 2), np.uint8)
    boxes = np.zeros((count, 4), np.float32)
    labels = random.integers(0, 3, count)
    for number, label in enumerate(labels):
        x, y = random.integers(34, 50, 2)
        width, height = random.integers(8, 20, 2)
        channels = {0: slice(0, 2), 1: slice(0, 1), 2: slice(1, 2)}[int(label)]
        windows[number, y : y + height, x : x + width, channels] = 255
        boxes[number] = np.array([x, y, x + width, y + height]) / 96
    return Labelled(windows, boxes, labels, ("gone", "new"), side_px=64)


def write_windows(path: Path, data: Labelled, **changes: np.ndarray) -> Path:
    content = {
        "windows": data.windows, "boxes": data.boxes, "labels": data.labels,
        "classes": np.array(data.classes), "parts": np.array(4),
    } | changes  # fmt: skip
    np.savez(path, **content)
    return path


def test_what_was_written_is_read(tmp_path: Path) -> None:
    data, parts = load(write_windows(tmp_path / "w.npz", blocks()))

    assert (len(data.labels), data.classes, parts, data.wide) == (32, ("gone", "new"), 4, 1.5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"windows": np.zeros((0, 96, 96, 2), np.uint8)}, "windows are"),
        ({"windows": np.zeros((32, 96, 96), np.uint8)}, "windows are"),
        ({"boxes": np.zeros((3, 4), np.float32)}, "boxes are"),
        ({"labels": np.full(32, 3)}, "labels go from 3 to 3, expected 0 to 2"),
        ({"labels": np.full(32, -1)}, "labels go from -1"),
    ],
)
def test_windows_that_do_not_fit_are_refused(
    tmp_path: Path, changes: dict[str, np.ndarray], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        load(write_windows(tmp_path / "w.npz", blocks(), **changes))


def test_a_file_that_is_no_npz_is_refused(tmp_path: Path) -> None:
    (tmp_path / "w.npz").write_bytes(b"no archive")

    with pytest.raises(DataError, match=r"w\.npz: no windows"):
        load(tmp_path / "w.npz")


@wants_torch
def test_boxes_move_with_what_is_in_them() -> None:
    torch = import_torch()
    torch.manual_seed(0)
    data = blocks(64)
    windows, boxes = torch.from_numpy(data.windows), torch.from_numpy(data.boxes)

    seen, where = moved_about(windows, boxes, data, FEW)

    assert tuple(seen.shape) == (64, 64, 64, 2)
    for picture, box in zip(seen.numpy(), where.numpy(), strict=True):
        ys, xs = np.nonzero(picture.max(2) > 127)
        found = np.array([xs.min(), ys.min(), xs.max() + 1, ys.max() + 1])
        np.testing.assert_allclose(found, box * 64, atol=1.0)


@wants_torch
def test_the_same_seed_gives_the_same_network() -> None:
    torch = import_torch()
    data = blocks()
    some = torch.from_numpy(data.windows[:4, 16:80, 16:80].copy())

    first, second = (train(data, FEW)(some) for _ in range(2))
    other = train(data, Settings(epochs=1, batch=16, seed=2))(some)

    assert torch.equal(first, second)
    assert not torch.equal(first, other)


@wants_torch
def test_a_recipe_leaves_a_bundle_that_can_be_checked(tmp_path: Path) -> None:
    windows = write_windows(tmp_path / "w.npz", blocks())

    manifest = make(windows, tmp_path / "out", FEW)

    text = (tmp_path / "out" / "manifest.json").read_text()
    assert parse_manifest(text, source="manifest") == manifest
    assert (manifest.task, manifest.classes) == ("classify-differences", ["gone", "new"])
    assert manifest.licence == "research only"
    check_files(manifest, tmp_path / "out")
