from dataclasses import replace

import numpy as np
import pytest

from shopfloor_contracts.bundles import Head
from shopfloor_edge.inference.heads import (
    HeadSpec,
    decode_end2end,
    decode_yolox,
    expected_shape,
)

SPEC = HeadSpec(64, 64, classes=3, wanted=(0, 2), score_min=0.1, nms_iou=0.5)
ANCHORS = 8 * 8 + 4 * 4 + 2 * 2


def raw_with(*boxes):
    """Place boxes (cell index, offset x, offset y, log w, log h, objectness, class scores)."""
    raw = np.zeros((1, ANCHORS, 8), np.float32)
    for cell, *values in boxes:
        raw[0, cell] = values
    return raw


def test_yolox_boxes_are_offsets_and_logs_on_their_stride():
    # Cell 9 of the stride-8 map is column 1, row 1: centre (1 + .5) * 8, size e^1 * 8.
    found = decode_yolox(raw_with((9, 0.5, 0.5, 1.0, 0.0, 0.9, 0.8, 0.0, 0.1)), SPEC)[0]

    size = np.exp(1.0) * 8
    np.testing.assert_allclose(found[0], [12 - size / 2, 8, 12 + size / 2, 16, 0.72, 0], rtol=1e-5)
    assert not found[1:].any()


def test_unwanted_classes_are_not_reported():
    found = decode_yolox(raw_with((9, 0.5, 0.5, 1.0, 1.0, 0.9, 0.0, 0.9, 0.0)), SPEC)[0]

    assert not found.any()


def test_overlapping_boxes_of_one_class_become_the_best_one():
    same = (0.5, 0.5, 1.0, 1.0)
    found = decode_yolox(
        raw_with((9, *same, 0.5, 0.9, 0, 0), (10, -0.4, 0.5, 1.0, 1.0, 0.9, 0.9, 0, 0)), SPEC
    )[0]

    assert (found[:, 4] > 0).sum() == 1
    assert found[0, 4] == pytest.approx(0.81)


def test_a_junk_model_cannot_flood():
    raw = np.full((1, ANCHORS, 8), 0.9, np.float32)

    found = decode_yolox(raw, SPEC)

    assert found.shape == (1, 300, 6)


def test_not_a_number_is_no_detection():
    raw = np.full((1, ANCHORS, 8), np.nan, np.float32)

    assert not decode_yolox(raw, SPEC).any()


def test_end2end_rows_are_filtered_and_sorted():
    raw = np.array(
        [[[1, 2, 3, 4, 0.3, 0], [1, 2, 3, 4, 0.9, 1], [5, 6, 7, 8, 0.8, 2], [0, 0, 1, 1, 0.05, 0]]],
        np.float32,
    )

    found = decode_end2end(raw, SPEC)[0]

    np.testing.assert_allclose(found[:2, 4:], [[0.8, 2], [0.3, 0]])
    assert not found[2:].any()


def test_expected_shape_counts_the_cells():
    assert expected_shape(Head.YOLOX, SPEC) == (ANCHORS, 8)
    assert expected_shape(Head.END2END, SPEC) == (None, 6)


@pytest.mark.parametrize("seed", range(6))
def test_one_wanted_class_gives_the_numbers_that_it_has_among_several(seed):
    random = np.random.default_rng(seed)
    raw = random.random((2, ANCHORS, 8), np.float32)
    raw[..., :4] = random.normal(0, 1, (2, ANCHORS, 4))
    raw[..., 6:] = 0.0

    alone = decode_yolox(raw, replace(SPEC, wanted=(0,)))

    assert alone.any()
    np.testing.assert_array_equal(alone, decode_yolox(raw, SPEC))


def test_nobody_likely_is_no_detection():
    raw = raw_with((9, 0.5, 0.5, 1.0, 1.0, 0.09, 1.0, 0, 0))

    assert not decode_yolox(raw, replace(SPEC, wanted=(0,))).any()
