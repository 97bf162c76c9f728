import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from shopfloor_edge.tracking.association import CONTESTED_FROM, assign, overlap_matrix


def iou(a, b):
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    shared = max(width, 0) * max(height, 0)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)]
    return shared / (sum(areas) - shared)


def test_overlap_of_boxes_of_one_height_on_one_level_is_intersection_over_union():
    a = np.array([[0.0, 0.0, 10.0, 30.0]])
    b = np.array([[5.0, 0.0, 15.0, 30.0], [0.0, 0.0, 10.0, 30.0], [40.0, 0.0, 50.0, 30.0]])

    np.testing.assert_allclose(
        overlap_matrix(a.T, b.T)[0], [iou(a[0], box) for box in b], rtol=1e-9
    )


def test_who_stands_further_back_overlaps_less():
    track = np.array([[0.0, 0.0, 10.0, 40.0]])
    beside = np.array([[5.0, 0.0, 15.0, 40.0]])
    shorter = np.array([[0.0, 0.0, 10.0, 40.0 / 3]])
    assert iou(track[0], beside[0]) == pytest.approx(iou(track[0], shorter[0]))

    overlaps = overlap_matrix(track.T, np.concatenate([beside, shorter]).T)[0]

    assert overlaps[1] < overlaps[0] / 2


def test_empty_boxes_overlap_by_nothing():
    empty = np.zeros((4, 1))

    assert overlap_matrix(empty, empty)[0, 0] == 0.0
    assert overlap_matrix(np.zeros((4, 0)), empty).shape == (0, 1)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 45), st.integers(1, 45), st.floats(0.005, 0.4), st.integers(0, 2**32 - 1))
def test_the_sum_is_the_largest_that_the_allowed_pairs_give(tracks, boxes, density, seed):
    rng = np.random.default_rng(seed)
    allowed = rng.random((tracks, boxes)) < density
    value = rng.uniform(0.1, 1.0, (tracks, boxes))

    rows, columns = assign(value, allowed)

    left, right = linear_sum_assignment(np.where(allowed, value, 0.0), maximize=True)
    best = np.where(allowed, value, 0.0)[left, right].sum()
    assert allowed[rows, columns].all()
    assert len(set(rows.tolist())) == len(rows) == len(set(columns.tolist()))
    assert value[rows, columns].sum() == pytest.approx(best)


def test_pairs_that_nobody_contests_are_found_in_a_crowd():
    count = 60
    assert count**2 > CONTESTED_FROM
    order = np.random.default_rng(1).permutation(count)
    allowed = np.zeros((count, count), np.bool_)
    allowed[np.arange(count), order] = True

    rows, columns = assign(allowed * 0.5, allowed)

    assert rows.tolist() == list(range(count))
    assert columns.tolist() == order.tolist()
