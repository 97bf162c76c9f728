import numpy as np

from shopfloor_contracts.site import CameraSpec
from shopfloor_edge.vision.evidence import BLOCKS, SceneRecorder, pixelate


def noise(height=120, width=160):
    return np.random.default_rng(1).integers(0, 255, (height, width, 3), np.uint8)


def colours(part):
    return len(np.unique(part.reshape(-1, 3), axis=0))


def test_a_person_becomes_a_few_blocks():
    picture = noise()

    pixelate(picture, np.array([[40, 20, 100, 110]]))

    assert colours(picture[20:110, 40:100]) <= BLOCKS * BLOCKS * 2


def test_the_rest_stays_as_it_was():
    picture, before = noise(), noise()

    pixelate(picture, np.array([[40, 20, 80, 60]]))

    assert (picture[:, 100:] == before[:, 100:]).all()


def test_no_boxes_means_that_everything_is_coarse():
    picture = noise()

    pixelate(picture, np.zeros((0, 4)))

    assert colours(picture) <= BLOCKS * BLOCKS


def test_boxes_over_the_border_are_masked_as_far_as_they_reach():
    picture = noise()

    pixelate(picture, np.array([[-50, -50, 30, 30], [150, 100, 900, 900]]))

    assert colours(picture[:30, :30]) <= BLOCKS * BLOCKS
    assert colours(picture[105:, 152:]) <= BLOCKS * BLOCKS


def test_a_scene_without_people_is_not_written(tmp_path):
    recorder = SceneRecorder(CameraSpec(name="c", uri="x"))
    planes = (np.zeros((20, 20), np.uint8), *[np.zeros((10, 10), np.uint8)] * 2)

    recorder.offer(planes, np.zeros((0, 4)), at_s=0.0)

    assert not recorder.write(tmp_path / "scene.png", crossings_in=0, crossings_out=0)
    assert not (tmp_path / "scene.png").exists()
