import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from shopfloor_models.main import main
from shopfloor_models.training.consistency import FrameBoxes, TrackRules, iou_matrix, link, steady
from shopfloor_models.training.distil import (
    PAINT,
    Bands,
    Judged,
    hear_neighbours,
    judge,
    label,
    neighbours,
)
from shopfloor_models.training.teacher import Found, OnnxTeacher, find_model

MIRROR = Path(os.environ.get("SHOPFLOOR_MIRROR") or Path(__file__).resolve().parents[4] / "shared")
RULES = TrackRules()


def frame(*rows: tuple[float, float, bool], kind: int = 0) -> FrameBoxes:
    """Return boxes of 40 x 100 px by left edge, score and whether they are sure."""
    boxes = [[left, 0.0, left + 40, 100.0] for left, _, _ in rows]
    return FrameBoxes(
        np.array(boxes, np.float32).reshape(-1, 4),
        np.array([score for _, score, _ in rows], np.float32),
        np.full(len(rows), kind, np.int64),
        np.array([sure for _, _, sure in rows], bool),
    )


def judged(*lefts: float) -> Judged:
    sure = frame(*((left, 0.9, True) for left in lefts))
    nothing = frame()
    return Judged(
        sure.boxes, sure.scores, sure.classes, nothing.boxes, nothing.scores, nothing.classes
    )


def test_an_unsure_box_between_sure_ones_becomes_a_label_with_their_score() -> None:
    frames = [frame((0, 0.8, True)), frame((5, 0.3, False)), frame((10, 0.6, True))]

    out = steady(frames, RULES)

    assert out[1].sure.tolist() == [True]
    assert out[1].scores.tolist() == pytest.approx([0.7])
    assert out[1].boxes[0, 0] == 5


def test_an_unsure_box_with_support_on_one_side_only_stays_unsure() -> None:
    frames = [frame((0, 0.8, True)), frame((5, 0.3, False)), frame((10, 0.3, False))]

    out = steady(frames, RULES)

    assert [f.sure.tolist() for f in out] == [[True], [False], [False]]


def test_support_from_too_far_away_does_not_count() -> None:
    unsure = [frame((0, 0.3, False)) for _ in range(2 * RULES.reach)]
    frames = [frame((0, 0.8, True)), *unsure, frame((0, 0.8, True))]

    out = steady(frames, RULES)

    assert not any(f.sure.any() for f in out[1:-1])


def test_a_flicker_of_one_frame_is_unsure() -> None:
    steady_box = (200.0, 0.9, True)
    frames = [frame(steady_box), frame(steady_box, (0, 0.9, True)), frame(steady_box)]

    out = steady(frames, RULES)

    assert out[1].sure.tolist() == [True, False]


def test_a_hole_in_a_track_is_unsure_where_the_box_would_be() -> None:
    frames = [frame((0, 0.9, True)), frame(), frame((10, 0.9, True))]

    out = steady(frames, RULES)

    assert out[1].sure.tolist() == [False]
    assert out[1].boxes.tolist() == [[5, 0, 45, 100]]


def test_a_fast_walker_is_followed_by_speed() -> None:
    # 30 px a frame: neighbours overlap by a seventh only, so the third frame needs the speed.
    frames = [frame((left, 0.9, True)) for left in (0, 15, 40, 70, 100)]

    tracks = link(frames, RULES)

    assert [len(track) for track in tracks] == [5]


def test_two_that_cross_are_two_tracks() -> None:
    frames = [frame((0 + 10 * t, 0.9, True), (100 - 10 * t, 0.9, True)) for t in range(11)]

    tracks = link(frames, RULES)

    assert sorted(len(track) for track in tracks) == [11, 11]
    assert [t[-1].row for t in tracks] == [0, 1]


def test_classes_do_not_support_each_other() -> None:
    frames = [frame((0, 0.9, True)), frame((0, 0.3, False), kind=1), frame((0, 0.9, True))]

    out = steady(frames, RULES)

    assert not out[1].sure[0]


def test_a_frame_alone_keeps_its_labels() -> None:
    frames = [frame((0, 0.9, True))]

    assert steady(frames, RULES)[0].sure.tolist() == [True]


def test_what_is_given_is_not_changed() -> None:
    frames = [frame((0, 0.8, True)), frame((5, 0.3, False)), frame((10, 0.6, True))]

    steady(frames, RULES)

    assert frames[1].sure.tolist() == [False]
    assert frames[1].scores.tolist() == pytest.approx([0.3])


def test_frames_far_apart_and_of_other_videos_are_no_neighbours() -> None:
    names = ["a_00000000", "a_00000200", "a_00000900", "b_00001000", "photo", "photo2"]

    runs = neighbours([Path(f"{name}.jpg") for name in names])

    assert [[path.stem for path in run] for run in runs] == [
        ["a_00000000", "a_00000200"],
        ["a_00000900"],
        ["b_00001000"],
        ["photo"],
        ["photo2"],
    ]


def test_without_the_option_nothing_is_heard() -> None:
    names = [Path("a_00000000.jpg"), Path("a_00000100.jpg")]

    heard = hear_neighbours(names, [judged(0), judged(200)], Bands())

    assert [len(one.boxes) for one in heard] == [1, 1]


def test_with_the_option_a_flicker_is_painted_over() -> None:
    names = [Path("a_00000000.jpg"), Path("a_00000100.jpg")]

    heard = hear_neighbours(names, [judged(0, 300), judged(0)], Bands(tracks=RULES))

    assert [len(one.boxes) for one in heard] == [1, 1]
    assert heard[0].unsure.tolist() == [[300, 0, 340, 100]]


class FlickeringTeacher:
    """Sees a person who stays, and on the first picture only another one."""

    def __init__(self) -> None:
        self.looked = 0

    def look(self, picture: NDArray[np.uint8]) -> Found:
        boxes = [[10, 10, 40, 90], [60, 10, 90, 90]][: 1 if self.looked else 2]
        self.looked += 1
        scores = np.full(len(boxes), 0.9, np.float32)
        return Found(np.array(boxes, np.float32), scores, ("person",) * len(boxes))


def test_a_flicker_in_footage_is_no_label_and_its_pixels_are_grey(tmp_path: Path) -> None:
    names = [tmp_path / f"v_{ms:08d}.png" for ms in (0, 100, 200)]
    for name in names:
        cv2.imwrite(str(name), np.full((100, 100, 3), 200, np.uint8))

    samples = label(
        names,
        [FlickeringTeacher()],
        ["person"],
        out=tmp_path / "out",
        bands=Bands(tracks=RULES),
    )

    painted = np.asarray(cv2.imread(str(tmp_path / "out/images/v_00000000.png")))
    assert [len(sample.boxes) for sample in samples] == [1, 1, 1]
    assert painted[50, 75].tolist() == [PAINT] * 3
    assert painted[50, 25].tolist() == [200] * 3


def test_footage_whose_frames_are_far_apart_has_no_tracks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for ms in (0, 2000):
        cv2.imwrite(str(tmp_path / f"v_{ms:08d}.png"), np.zeros((64, 64, 3), np.uint8))
    footage = ["--footage", str(tmp_path), "--out", str(tmp_path / "out")]

    code = main(["label", *footage, "--teacher", "person-nano", "--tracks"])

    assert code == 2
    assert "no two of 2 pictures are frames of one video" in capsys.readouterr().err


@pytest.mark.mirror
@pytest.mark.skipif(
    not (MIRROR / "data/video/vtest.avi").exists(), reason="wants vtest.avi of the mirror"
)
def test_on_real_footage_more_people_are_labelled_and_hardly_any_wrong() -> None:
    truth = np.loadtxt(MIRROR / "data/mot15/PETS09-S2L1/gt/gt.txt", delimiter=",")
    bands = Bands(tracks=RULES)
    teacher = OnnxTeacher(find_model("yolox-nano"), score_min=bands.ignore)
    capture = cv2.VideoCapture(str(MIRROR / "data/video/vtest.avi"))
    alone = []
    for _ in range(60):
        _, picture = capture.read()
        alone.append(judge([teacher.look(np.asarray(picture))], ["person"], bands))
    names = [Path(f"vtest_{number * 100:08d}.jpg") for number in range(60)]

    heard = hear_neighbours(names, alone, bands)

    before, after = right_and_wrong(alone, truth), right_and_wrong(heard, truth)
    assert after[0] > before[0]
    assert after[1] - before[1] < (after[0] - before[0])


def right_and_wrong(frames: list[Judged], truth: np.ndarray) -> tuple[int, int]:
    right = total = 0
    for number, one in enumerate(frames, start=1):
        rows = truth[truth[:, 0] == number]
        boxes = np.column_stack([rows[:, 2:4], rows[:, 2:4] + rows[:, 4:6]]).astype(np.float32)
        right += int((iou_matrix(boxes, one.boxes).max(axis=1, initial=0) >= 0.5).sum())
        total += len(one.boxes)
    return right, total - right
