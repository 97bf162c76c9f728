import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from shopfloor_edge.analytics.zones import ZoneCounter, inside

SQUARE = np.array([[0.25, 0.25], [0.75, 0.25], [0.75, 0.75], [0.25, 0.75]])
HOOK = np.array([[0, 0], [3, 0], [3, 3], [2, 3], [2, 1], [0, 1]], float)


def test_inside_a_square():
    points = np.array([[0.5, 0.5], [0.1, 0.5], [0.5, 0.9], [0.74, 0.26]])

    assert inside(points, SQUARE).tolist() == [True, False, False, True]


def test_the_bay_of_a_hook_is_outside():
    assert inside(np.array([[1.0, 2.0], [2.5, 2.0], [1.0, 0.5]]), HOOK).tolist() == [
        False,
        True,
        True,
    ]


def test_no_points_are_nobody():
    assert ZoneCounter("till", [(0, 0), (1, 0), (1, 1)]).count(np.zeros((0, 2)), size=(10, 10)) == 0


def test_the_zone_scales_with_the_frame():
    zone = ZoneCounter("till", [tuple(corner) for corner in SQUARE.tolist()])

    assert zone.count(np.array([[50.0, 50.0]]), size=(100, 100)) == 1
    assert zone.count(np.array([[50.0, 50.0]]), size=(1000, 1000)) == 0


@given(st.tuples(st.floats(0, 1), st.floats(0, 1)), st.integers(0, 3))
def test_the_corner_that_begins_does_not_matter(point, shift):
    rolled = np.roll(SQUARE, shift, axis=0)

    assert inside(np.array([point]), rolled) == inside(np.array([point]), SQUARE)
