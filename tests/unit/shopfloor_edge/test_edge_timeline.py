import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shopfloor_edge.cameras.timeline import MAX_STEP_S, Timeline

PTS = st.none() | st.floats(-1e6, 1e12)


def test_a_good_file_keeps_its_times():
    timeline = Timeline()

    times = [timeline.at(n / 10) for n in range(5)]

    assert times == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.4])
    assert timeline.jumps == 0


def test_times_that_jump_back_go_on_at_the_rate_so_far():
    timeline = Timeline()

    times = [timeline.at(pts) for pts in (10.0, 10.2, 10.4, 3.0, 3.2)]

    assert times == pytest.approx([10.0, 10.2, 10.4, 10.6, 10.8])
    assert timeline.jumps == 1


def test_a_leap_of_years_closes_no_million_windows():
    timeline = Timeline()
    timeline.at(0.0)

    later = timeline.at(18_446_744_073.7)

    assert later < 1.0
    assert timeline.jumps == 1


def test_a_file_that_begins_late_keeps_its_own_zero_within_bounds():
    assert Timeline().at(3.5) == 3.5
    assert Timeline().at(1e9) == 0.0


@given(st.lists(PTS, min_size=2, max_size=50))
def test_time_always_goes_forward_in_bounded_steps(pts):
    timeline = Timeline()

    times = [timeline.at(one) for one in pts]

    steps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert all(0 < step <= MAX_STEP_S * 1.001 for step in steps)
