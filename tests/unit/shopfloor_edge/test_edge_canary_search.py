"""The search for planted pixels finds every way in which a careless program would let them out."""

import numpy as np
import pytest

from fakes.canary import hits, leaks, plant

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
