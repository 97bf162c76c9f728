import os

import cv2
import numpy as np
import pytest

from shopfloor_edge.vision.pictures import IDLE_S, LEARN_PICTURES, LEARN_S, WANTED, LivePictures

NOW_S = 1_700_000_000.0
PERSON = np.array([[100.0, 60, 180, 200]])
NOBODY = np.zeros((0, 4))


class Scene:
    """A camera with a clock of its own; its picture is a pattern that no mask lets through."""

    def __init__(self, folder):
        self.folder, self.now_s = folder / "pictures", 1000.0
        self.pictures = LivePictures(
            self.folder,
            "door",
            monotonic=lambda: self.now_s,
            wall=lambda: NOW_S + self.now_s,
        )

    def run(self, seconds, boxes=PERSON, *, fps=10):
        """Offer frames; return when pictures were taken, in seconds from the first."""
        taken = []
        for number in range(int(seconds * fps)):
            before = self.pictures.taken
            self.pictures.offer(checkers(), boxes)
            if self.pictures.taken > before:
                taken.append(number / fps)
            self.now_s += 1 / fps
        return taken

    def look(self):
        path = self.folder / WANTED
        path.touch()
        os.utime(path, (NOW_S + self.now_s,) * 2)

    def shown(self, name="door.jpg"):
        return cv2.imread(str(self.folder / name), cv2.IMREAD_GRAYSCALE).astype(int)


def checkers(height=240, width=320):
    y = ((np.indices((height, width)).sum(axis=0) % 2) * 255).astype(np.uint8)
    return y, np.full((120, 160), 128, np.uint8), np.full((120, 160), 128, np.uint8)


def contrast(part):
    return np.abs(np.diff(part, axis=1)).mean()


@pytest.fixture
def scene(tmp_path):
    return Scene(tmp_path)


@pytest.fixture
def idle(scene):
    """After the first pictures, and a little."""
    scene.run(LEARN_PICTURES * LEARN_S + 1, fps=2)
    return scene


def test_nobody_looks_and_a_minute_passes_between_pictures(idle):
    assert len(idle.run(3 * IDLE_S, fps=2)) == 3


def test_while_somebody_looks_there_is_a_picture_a_second(idle):
    idle.look()

    taken = idle.run(5)

    assert len(taken) == 5
    assert min(np.diff(taken)) >= 1.0


def test_pictures_stop_soon_after_nobody_looks_any_more(idle):
    idle.look()

    taken = idle.run(50, fps=4)

    assert 29 <= len(taken) <= 32
    assert max(taken) < 32


def test_a_look_from_the_future_is_none(idle):
    path = idle.folder / WANTED
    path.touch()
    os.utime(path, (NOW_S + idle.now_s + 3600,) * 2)

    assert idle.run(10) == []


def test_people_are_coarse_and_the_scene_is_sharp(scene):
    scene.run(0.1)

    shown = scene.shown()

    assert contrast(shown[70:190, 110:170]) < 5
    assert contrast(shown[70:190, 230:]) > 100


@pytest.mark.parametrize(
    "boxes",
    [NOBODY, np.array([[np.nan, 0, 10, 10]]), np.array([[900.0, 900, 950, 990]])],
    ids=["no boxes", "no number", "outside"],
)
def test_where_people_are_not_known_picture_and_background_are_coarse_as_a_whole(boxes, scene):
    scene.run(LEARN_S * 8, boxes)

    assert contrast(scene.shown()) < 5
    assert contrast(scene.shown("door.empty.jpg")) < 5


def test_the_background_is_sharp_where_no_box_ever_was_and_filled_as_people_move_on(scene):
    scene.run(LEARN_S * 7)
    before = scene.shown("door.empty.jpg")

    scene.run(2 * IDLE_S, PERSON + np.array([[120, 0, 120, 0]]), fps=2)
    after = scene.shown("door.empty.jpg")

    assert contrast(before[70:190, 110:170]) < 5
    assert contrast(before[70:190, 10:60]) > 100
    assert contrast(after[70:190, 110:150]) > 100


def test_a_picture_of_another_size_begins_a_new_background(scene):
    scene.run(LEARN_S * 7)
    scene.pictures.offer(checkers(), PERSON)
    scene.now_s += IDLE_S

    y, _, _ = checkers(480, 640)
    grey = np.full((240, 320), 128, np.uint8)
    scene.pictures.offer((y, grey, grey), PERSON)

    assert scene.shown("door.empty.jpg").shape == (480, 640)


def test_a_large_frame_is_shrunk(scene):
    y, u, v = (np.full(size, 90, np.uint8) for size in ((1080, 1920), (540, 960), (540, 960)))

    scene.pictures.offer((y, u, v), PERSON)

    assert scene.shown().shape == (360, 640)


def test_a_disk_that_refuses_costs_the_picture_and_nothing_else(scene, caplog):
    scene.folder.rmdir()

    scene.run(LEARN_S * 3)

    assert [record.message for record in caplog.records] == ["picture not written"]
