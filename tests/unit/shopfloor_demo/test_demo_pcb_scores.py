"""Scores by DeepPCB's rule, on boxes that can be counted by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shopfloor_demo.pcb_scores import Marks, iou, matched, mean_average_precision, score


def marks(*rows: tuple[float, ...]) -> Marks:
    """Rows are x1, y1, x2, y2, class, score."""
    table = np.array(rows, np.float32).reshape(-1, 6)
    return Marks(table[:, :4], table[:, 4].astype(np.int64), table[:, 5])


LABELS = marks((0, 0, 10, 10, 0, 1), (20, 0, 30, 10, 1, 1))


def test_overlap_of_boxes_side_by_side_and_upon_each_other() -> None:
    boxes = np.array([[0, 0, 10, 10], [5, 0, 15, 10], [10, 0, 20, 10], [3, 3, 3, 3]], np.float32)

    overlap = iou(boxes[:1], boxes)

    np.testing.assert_allclose(overlap, [[1.0, 1 / 3, 0.0, 0.0]])


@pytest.mark.parametrize(("x", "right"), [(5, 1), (6, 0)])
def test_a_third_of_overlap_is_right(x: int, right: int) -> None:
    result = score([(marks((x, 0, x + 10, 10, 0, 1)), marks((0, 0, 10, 10, 0, 1)))])

    assert result.right == right


def test_a_label_is_found_once() -> None:
    twice = marks((0, 0, 10, 10, 0, 0.9), (1, 0, 11, 10, 0, 0.8))

    result = score([(twice, LABELS)])

    assert (result.found, result.right, result.labelled) == (2, 1, 2)
    assert (result.precision, result.recall, result.f) == (0.5, 0.5, 0.5)


def test_another_class_is_wrong() -> None:
    swapped = marks((0, 0, 10, 10, 1, 1), (20, 0, 30, 10, 0, 1))

    assert score([(swapped, LABELS)]).right == 0


def test_as_many_as_possible_are_matched() -> None:
    labels = marks((0, 0, 10, 10, 0, 1), (4, 0, 14, 10, 0, 1))
    found = marks((4, 0, 14, 10, 0, 1), (8, 0, 18, 10, 0, 1))

    assert sorted(matched(found, labels)) == [(0, 0), (1, 1)]


def test_no_finding_and_no_label_are_no_error() -> None:
    result = score([(marks(), marks())])

    assert (result.precision, result.recall, result.f) == (1.0, 1.0, 0.0)
    assert score([(marks(), LABELS)]).recall == 0.0


def test_average_precision_by_hand() -> None:
    # By score: right, wrong, right, so precision 1 up to recall 1/2 and 2/3 up to 1.
    labels = marks((0, 0, 10, 10, 0, 1), (20, 0, 30, 10, 0, 1))
    found = marks((0, 0, 10, 10, 0, 0.9), (50, 0, 60, 10, 0, 0.8), (20, 0, 30, 10, 0, 0.7))

    result = mean_average_precision([(found, labels)])

    assert result == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)


def test_a_second_finding_of_a_label_is_wrong_in_average_precision() -> None:
    labels = marks((0, 0, 10, 10, 0, 1), (20, 0, 30, 10, 0, 1))
    found = marks((0, 0, 10, 10, 0, 0.9), (0, 0, 10, 10, 0, 0.8))

    assert mean_average_precision([(found, labels)]) == pytest.approx(0.5)


def test_each_class_weighs_the_same() -> None:
    found = marks((0, 0, 10, 10, 0, 0.9))

    assert mean_average_precision([(found, LABELS)]) == pytest.approx(0.5)


@given(
    st.lists(
        st.tuples(st.integers(0, 40), st.integers(0, 40), st.integers(0, 1), st.floats(0, 1)),
        max_size=8,
    )
)
def test_findings_that_are_the_labels_score_one(rows: list[tuple[int, int, int, float]]) -> None:
    places = {(60 * (i % 4), 60 * (i // 4)): row for i, row in enumerate(rows)}
    found = marks(*((x, y, x + 5 + r[0], y + 5 + r[1], r[2], r[3]) for (x, y), r in places.items()))

    result = score([(found, found)])

    assert result.right == result.found == len(rows)
    assert mean_average_precision([(found, found)]) == pytest.approx(1.0 if rows else 0.0)
