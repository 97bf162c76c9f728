import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shopfloor_edge.analytics.lines import HYSTERESIS, Direction, LineCounter, feet

SIZE = (800, 600)
MIDDLE = ((0.5, 0.2), (0.5, 0.8))


def walk(points, *, line=MIDDLE, size=SIZE, track=1):
    """Lead one track over the points (shares of the frame); return the directions counted."""
    counter = LineCounter("door", *line)
    found = []
    for step, point in enumerate(points):
        pixels = np.array([point]) * np.array(size)
        found += counter.update(np.array([track]), pixels, size=size, at_s=step / 10)
    return [crossing.direction for crossing in found]


def test_from_the_left_hand_to_the_right_hand_is_in():
    # Looking from a (top) to b (bottom), the right hand points to the picture's left.
    assert walk([(0.6, 0.5), (0.4, 0.5)]) == [Direction.IN]
    assert walk([(0.4, 0.5), (0.6, 0.5)]) == [Direction.OUT]


def test_dithering_on_the_line_counts_nothing():
    jitter = HYSTERESIS * SIZE[1] / SIZE[0] * 0.9

    assert walk([(0.5 + jitter * (-1) ** step, 0.5) for step in range(50)]) == []


def test_standing_on_the_line_then_going_on_counts_once():
    assert walk([(0.4, 0.5), (0.499, 0.5), (0.501, 0.5), (0.499, 0.5), (0.6, 0.5)]) == [
        Direction.OUT
    ]


def test_turning_back_on_the_line_counts_nothing():
    assert walk([(0.4, 0.5), (0.5, 0.5), (0.505, 0.5), (0.4, 0.5)]) == []


def test_only_the_segment_counts():
    assert walk([(0.4, 0.1), (0.6, 0.1)]) == []
    assert walk([(0.4, 0.9), (0.6, 0.9)]) == []


def test_walking_around_the_end_and_back_through_counts_the_way_through():
    assert walk([(0.4, 0.5), (0.4, 0.95), (0.6, 0.95), (0.6, 0.5), (0.4, 0.5)]) == [Direction.IN]


def test_a_track_hidden_over_the_line_counts_when_it_reappears():
    counter = LineCounter("door", *MIDDLE)
    nobody = np.zeros(0, np.int64), np.zeros((0, 2))
    counter.update(np.array([7]), np.array([[300.0, 300.0]]), size=SIZE, at_s=0.0)
    counter.update(*nobody, size=SIZE, at_s=0.5)

    found = counter.update(np.array([7]), np.array([[500.0, 300.0]]), size=SIZE, at_s=1.0)

    assert [(c.line, c.track, c.direction) for c in found] == [("door", 7, Direction.OUT)]


def test_a_number_used_again_much_later_starts_anew():
    counter = LineCounter("door", *MIDDLE)
    counter.update(np.array([7]), np.array([[300.0, 300.0]]), size=SIZE, at_s=0.0)
    counter.update(np.zeros(0, np.int64), np.zeros((0, 2)), size=SIZE, at_s=60.0)

    assert counter.update(np.array([7]), np.array([[500.0, 300.0]]), size=SIZE, at_s=61.0) == []


steps = st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), max_size=40)


@given(steps)
def test_in_and_out_alternate_on_a_line_across_the_whole_frame(points):
    directions = walk(points, line=((0.5, 0.0), (0.5, 1.0)))

    assert all(a is not b for a, b in itertools.pairwise(directions))


@given(steps)
def test_the_count_does_not_depend_on_the_resolution(points):
    # Away from the hysteresis' border and from the line's ends, where rounding would decide.
    points = [(round(x, 2), round(y, 2)) for x, y in points]
    line = ((0.45, 0.24 + 1 / 3000), (0.45, 0.56 - 1 / 7000))

    assert walk(points, size=(640, 480), line=line) == walk(points, size=(1920, 1440), line=line)


@given(steps)
def test_a_line_drawn_the_other_way_swaps_the_directions(points):
    points = [(round(x, 2), round(y, 2)) for x, y in points]
    line = ((0.45, 0.24 + 1 / 3000), (0.45, 0.56 - 1 / 7000))
    other = {Direction.IN: Direction.OUT, Direction.OUT: Direction.IN}

    assert walk(points, line=line[::-1]) == [other[d] for d in walk(points, line=line)]


def test_the_foot_is_the_middle_of_the_lower_edge():
    np.testing.assert_allclose(feet(np.array([[10.0, 20.0, 30.0, 80.0]])), [[20, 80]])


@pytest.mark.parametrize("end", [(0.1, 0.9), (0.9, 0.9), (0.9, 0.1)])
def test_slanted_lines_count_too(end):
    a, b = (0.5, 0.5), end
    middle = np.array([(a[0] + b[0]) / 2, (a[1] + b[1]) / 2])
    side = np.array([-(b[1] - a[1]), b[0] - a[0]]) * 0.3

    assert walk([middle - side, middle + side], line=(a, b)) == [Direction.IN]
