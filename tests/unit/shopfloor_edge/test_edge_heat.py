from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shopfloor_edge.analytics.heat import HeatGrid, HeatSums

SIZE = (640, 360)
GRID = HeatGrid(32, 18)


def test_a_foot_point_warms_its_cell():
    sums = HeatSums(32, 18)

    sums.hold(GRID.cells(np.array([[639.0, 359.0], [0.0, 0.0]]), size=SIZE), 2.0)

    assert sums.cells_s[17, 31] == sums.cells_s[0, 0] == 2.0
    assert sums.cells_s.sum() == 4.0


def test_two_people_on_one_cell_count_twice():
    sums = HeatSums(32, 18)

    sums.hold(GRID.cells(np.array([[5.0, 5.0], [6.0, 6.0]]), size=SIZE), 1.5)

    assert sums.cells_s[0, 0] == 3.0


@given(
    st.lists(st.tuples(st.floats(-100, 2000), st.floats(-100, 2000)), max_size=20),
    st.floats(0, 10),
)
def test_every_second_of_everyone_is_on_the_grid(points, seconds):
    sums = HeatSums(32, 18)

    sums.hold(GRID.cells(np.array(points).reshape(-1, 2), size=SIZE), seconds)

    assert sums.cells_s.sum() == pytest.approx(len(points) * seconds)
    assert (sums.cells_s >= 0).all()


def test_a_busy_minute_is_small_on_the_wire():
    sums = HeatSums(32, 18)
    rng = np.random.default_rng(7)
    for _ in range(600):
        sums.hold(GRID.cells(rng.random((40, 2)) * SIZE, size=SIZE), 0.1)

    assert len(json.dumps(sums.rounded())) < 4000
