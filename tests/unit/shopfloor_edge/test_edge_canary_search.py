"""The search for planted pixels finds every way in which a careless program would let them out."""

import cv2
import numpy as np
import pytest

from fakes.canary import frames_of, hits, leaks, plant, shows_the_person
from shopfloor_edge.vision.evidence import pixelate

FRAME = plant(np.full((96, 128, 3), 40, np.uint8))


@pytest.mark.parametrize(("way", "leaked"), leaks(FRAME).items(), ids=leaks(FRAME))
def test_a_leak_is_found(way, leaked):
    around = b'{"specversion":"1.0","seq":12}' + leaked + b'{"seq":13}'

    assert hits(around, way)


def test_what_a_device_says_is_no_hit():
    rng = np.random.default_rng(0)
    told = b'{"specversion":"1.0","in":12,"histogram":[0,0,0,3,9,0,0,1]}' * 50

    assert not hits(told, "events")
    assert not hits(rng.bytes(200_000), "ciphertext")
    assert not hits(plant(FRAME.copy())[40:50].tobytes(), "rows without the pattern")


@pytest.mark.parametrize(("form", "quality"), [(".jpg", 75), (".webp", 50), (".png", 3)])
@pytest.mark.parametrize("left", [2, 51, 100])
def test_a_person_is_found_in_a_picture_unless_it_is_masked(form, quality, left):
    picture = np.full((96, 128, 3), 40, np.uint8)
    picture[24:72, left : left + 24] = 235
    plant(picture)
    masked, unsure = picture.copy(), picture.copy()
    pixelate(masked, np.array([[left, 24.0, left + 24, 72]]))
    pixelate(unsure, np.zeros((0, 4)))

    def seen(shown):
        kinds = {
            ".jpg": [cv2.IMWRITE_JPEG_QUALITY, quality],
            ".webp": [cv2.IMWRITE_WEBP_QUALITY, quality],
        }
        (frame,) = frames_of(cv2.imencode(form, shown, kinds.get(form, []))[1].tobytes())
        return shows_the_person(frame)

    assert seen(picture)
    assert not seen(masked)
    assert not seen(unsure)
