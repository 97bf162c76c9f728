from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shopfloor_edge.analytics.dwell import VisitChanges, ZoneVisits
from shopfloor_edge.analytics.queue import QueueSums, little, longest_wait_s

LENGTHS = (1, 2, 3, 4, 6, 8, 12)
WAITS = (5, 15, 30, 60, 120, 300, 600)
SIZE = (100, 100)
ZONE = [(0.2, 0.2), (0.8, 0.2), (0.8, 0.8), (0.2, 0.8)]


def follow(stays, *, until_s, step_s=0.5):
    """Let people stand in the zone from one second to another; return the sums and the zone."""
    visits, sums = ZoneVisits("till", ZONE), QueueSums(LENGTHS, WAITS)
    for frame in range(round(until_s / step_s) + 1):
        at_s = frame * step_s
        places = [50.0 if begin <= at_s < end else 5.0 for begin, end in stays]
        points = np.array([[x, 25.0 + 5 * n] for n, x in enumerate(places)]).reshape(-1, 2)
        changes = visits.update(np.arange(len(stays)) + 1, points, size=SIZE, at_s=at_s)
        sums.add(changes)
        sums.hold(visits.count, step_s)
    return sums, visits


def test_seconds_are_counted_per_length():
    sums, _ = follow([(0, 10), (5, 10)], until_s=14.5)

    assert sums.people_s == pytest.approx(15.0)
    assert sums.length_histogram_s[:3] == pytest.approx([5.0, 5.0, 5.0])
    assert (sums.people_max, sums.joined, sums.served) == (2, 2, 2)


def test_the_wait_is_that_of_those_who_left():
    sums, visits = follow([(0, 10), (5, 1000)], until_s=40)

    assert (sums.joined, sums.served) == (2, 1)
    assert sums.wait_s == sums.wait_max_s == pytest.approx(9.5)
    assert sums.wait_histogram == [0, 1, 0, 0, 0, 0, 0, 0]
    assert longest_wait_s(visits) == pytest.approx(35.0)


def test_nobody_waits_in_an_empty_queue():
    sums, visits = follow([], until_s=5)

    assert longest_wait_s(visits) == 0.0
    assert sums.length_histogram_s[0] == pytest.approx(5.5)
    assert little(sums) is None


def test_littles_law_holds_for_a_queue_that_runs_empty():
    sums, _ = follow([(n * 7.0, n * 7.0 + 20.0) for n in range(20)], until_s=200)

    check = little(sums)
    assert check is not None
    assert check.wait_s == pytest.approx(19.5)
    # A frame at each end is the whole difference.
    assert check.ratio == pytest.approx(1.0, abs=0.03)


def test_littles_law_shows_waits_that_were_cut_short():
    sums, _ = follow([(n * 7.0, n * 7.0 + 20.0) for n in range(20)], until_s=200)

    sums.wait_s /= 2

    assert little(sums).ratio < 0.6


def test_a_queue_that_was_never_joined_has_no_ratio():
    sums = QueueSums(LENGTHS, WAITS)
    sums.hold(0, 60.0)

    assert little(sums) is None


@given(
    st.lists(
        st.tuples(st.integers(0, 40), st.integers(1, 40)).map(lambda s: (s[0], s[0] + s[1])),
        max_size=8,
    )
)
@settings(deadline=None)
def test_the_sums_agree_with_each_other(stays):
    sums, _ = follow(stays, until_s=100)

    assert sums.joined == sums.served == len(stays) == sum(sums.wait_histogram)
    assert sum(sums.length_histogram_s) == pytest.approx(sums.observed_s)
    assert sums.wait_s == pytest.approx(sums.people_s - 0.5 * len(stays))


def test_a_change_of_nothing_adds_nothing():
    sums = QueueSums(LENGTHS, WAITS)

    sums.add(VisitChanges())

    assert sums == QueueSums(LENGTHS, WAITS)
