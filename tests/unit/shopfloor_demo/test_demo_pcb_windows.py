"""Windows for training the judge of differences, from drawn boards."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from fakes.boards import Kind, board, noisy, with_defect
from shopfloor_demo.errors import OperatorError
from shopfloor_demo.pcb import CLASSES, Pair, pairs
from shopfloor_demo.pcb_windows import NONE, labelled, main, write

GOOD = board()


def pair(kind: Kind = Kind.SHORT, *, says: bool = True) -> Pair:
    bad, (x, y) = with_defect(GOOD, kind)
    box = np.array([[x - 15, y - 15, x + 15, y + 15]][: int(says)], np.float32).reshape(-1, 4)
    number = np.full(len(box), CLASSES.index(kind.value), np.int64)
    return Pair("drawn", noisy(GOOD), noisy(bad), box, number)


def write_pair(folder: Path, one: Pair) -> None:
    cv2.imwrite(str(folder / "a_temp.jpg"), one.reference)
    cv2.imwrite(str(folder / "a_test.jpg"), one.part)
    rows = [(*box, kind + 1) for box, kind in zip(one.boxes, one.classes, strict=True)]
    text = "\n".join(" ".join(str(int(value)) for value in row) for row in rows)
    (folder / "a.txt").write_text(text)
    (folder / "train.txt").write_text("a\n")


def test_a_difference_in_a_labelled_box_is_that_defect() -> None:
    found = labelled(pair())

    assert found is not None
    windows, boxes, labels = found
    assert len(windows.pixels) >= 2
    assert set(labels.tolist()) == {CLASSES.index("short") + 1}
    assert (boxes == boxes[0]).all()


def test_a_difference_outside_of_all_boxes_is_none() -> None:
    found = labelled(pair(says=False))

    assert found is not None
    assert set(found[2].tolist()) == {NONE}


def test_a_pair_that_cannot_be_compared_gives_nothing() -> None:
    one = pair()
    dark = Pair("dark", one.reference, np.zeros_like(one.part), one.boxes, one.classes)

    assert labelled(dark) is None


def test_windows_are_written_with_what_training_needs(tmp_path: Path) -> None:
    write_pair(tmp_path, pair())

    count = write(tmp_path, tmp_path / "out" / "windows.npz")

    with np.load(tmp_path / "out" / "windows.npz") as file:
        assert file["windows"].shape == (count, 96, 96, 2)
        assert file["boxes"].shape == (count, 4)
        assert tuple(file["classes"]) == CLASSES
        assert file["parts"] == 1


def test_missing_data_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match=r"train\.txt: No such file or directory; DeepPCB lies"):
        list(pairs(tmp_path, "train"))


def test_a_broken_picture_is_named(tmp_path: Path) -> None:
    write_pair(tmp_path, pair())
    (tmp_path / "a_test.jpg").write_bytes(b"no picture")

    with pytest.raises(OperatorError, match=r"a_test\.jpg: no picture"):
        list(pairs(tmp_path, "train"))


def test_the_command_ends_with_2_without_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["pcb_windows", "--mirror", str(tmp_path), "--out", str(tmp_path / "w.npz")]
    monkeypatch.setattr("sys.argv", arguments)

    assert main() == 2
    assert capsys.readouterr().err.startswith("train-inspection: ")
