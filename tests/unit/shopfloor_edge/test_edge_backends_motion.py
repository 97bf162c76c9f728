"""Motion: what moves is found where it is, what stands is not, a camera has its own background."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from shopfloor_edge.inference.motion import (
    LEARNING_FRAMES,
    MOTION_DIGEST,
    PREPROCESS,
    MotionBackend,
)
from shopfloor_edge.inference.preprocess import Letterbox
from shopfloor_edge.inference.zoo import mirror_folder

SIZE = (PREPROCESS.height_px, PREPROCESS.width_px, 3)


def scene(random, person=None, *, width=24, height=60):
    """Draw a noisy wall, and a person whose left top corner is ``person``."""
    picture = random.normal(110, 4, SIZE).clip(0, 255).astype(np.uint8)
    if person is not None:
        x, y = person
        picture[y : y + height, x : x + width] = random.normal(30, 4, (height, width, 3)).clip(0)
    return picture


def learnt():
    random, backend = np.random.default_rng(3), MotionBackend()
    for _ in range(60):
        backend.infer(scene(random)[None])
    return random, backend


def test_a_person_who_walks_in_is_found_where_she_is():
    random, backend = learnt()

    found = backend.infer(scene(random, (100, 150))[None])[0]

    rows = found[found[:, 4] > 0]
    assert len(rows) == 1
    np.testing.assert_allclose(rows[0, :4], [100, 150, 124, 210], atol=3)
    assert rows[0, 4] >= 0.7
    assert rows[0, 5] == 0


def test_the_class_is_the_one_that_is_counted():
    random, backend = np.random.default_rng(3), MotionBackend(person=7)
    for _ in range(60):
        backend.infer(scene(random)[None])

    found = backend.infer(scene(random, (100, 150))[None])[0]

    assert found[0, 5] == 7


def test_two_people_apart_are_two():
    random, backend = learnt()
    picture = scene(random, (60, 150))
    picture[150:210, 200:224] = 20

    found = backend.infer(picture[None])[0]

    assert (found[:, 4] > 0).sum() == 2


def test_nothing_moves_nothing_is_found():
    random, backend = learnt()

    found = backend.infer(np.stack([scene(random) for _ in range(20)]))

    assert not found.any()


def test_nothing_is_found_before_a_background_is_learnt():
    random, backend = np.random.default_rng(3), MotionBackend()
    for _ in range(LEARNING_FRAMES // 2):
        backend.infer(scene(random)[None])

    found = backend.infer(scene(random, (100, 150))[None])

    assert not found.any()


@pytest.mark.parametrize(("width", "height"), [(3, 3), (200, 12)])
def test_specks_and_lying_bars_are_nobody(width, height):
    random, backend = learnt()

    found = backend.infer(scene(random, (100, 150), width=width, height=height)[None])

    assert not found.any()


def test_a_light_that_is_switched_is_nobody():
    random, backend = learnt()
    bright = scene(random).astype(np.int16) + 90

    found = backend.infer(bright.clip(0, 255).astype(np.uint8)[None])

    assert not found.any()


def test_who_stands_becomes_background():
    random, backend = learnt()
    for _ in range(400):
        backend.infer(scene(random, (100, 150))[None])

    assert not backend.infer(scene(random, (100, 150))[None]).any()


def test_warming_up_is_not_learnt():
    random, backend = learnt()

    backend.warmup()

    assert not backend.infer(scene(random)[None]).any()


def test_its_digest_can_stand_in_an_event():
    assert len(MOTION_DIGEST) == 64
    assert set(MOTION_DIGEST) <= set("0123456789abcdef")


@pytest.mark.mirror
def test_people_on_real_footage_are_found():
    mirror = mirror_folder()
    clip = mirror / "data" / "video" / "vtest.avi" if mirror else Path("/nonexistent")
    if not clip.is_file():
        pytest.skip("wants vtest.avi from SHOPFLOOR_MIRROR")
    video, letterbox, backend = cv2.VideoCapture(str(clip)), Letterbox(PREPROCESS), MotionBackend()
    counts = []
    for _ in range(150):
        found = backend.infer(letterbox.from_bgr(video.read()[1])[0][None])
        counts.append(int((found[..., 4] > 0).sum()))

    # Five to eight people walk there; some of them side by side.
    assert 3 <= np.median(counts[50:]) <= 8
