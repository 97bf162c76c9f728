from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from shopfloor_edge.analytics.dwell import Stay
from shopfloor_edge.analytics.lines import Crossing, Direction
from shopfloor_edge.analytics.presence import (
    HeadingWatch,
    Observation,
    StayLimit,
    wrong_crossings,
)

SIZE = (800, 600)
ZONE = [(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)]


def walk(points, *, heading=(1.0, 0.0), polygon=ZONE):
    watch, found = HeadingWatch("aisle", polygon, heading=heading), []
    for step, point in enumerate(points):
        pixels = np.array([point]) * SIZE
        found += watch.update(np.array([3]), pixels, size=SIZE, at_s=step / 10)
    return found


def test_a_long_visit_is_told_once():
    limit = StayLimit("vault", 60.0)

    told = [
        limit.update([Stay(1, 9, dwell_s)], at_s=dwell_s) for dwell_s in (59.0, 60.5, 61.0, 200.0)
    ]

    assert [len(observed) for observed in told] == [0, 1, 0, 0]
    [loiterer] = told[1]
    assert loiterer == Observation("vault", 9, value=60.5, at_s=60.5)


def test_the_next_visit_of_the_same_person_is_told_again():
    limit = StayLimit("vault", 60.0)
    limit.update([Stay(1, 9, 61.0)], at_s=0.0)
    limit.update([], at_s=1.0)

    assert len(limit.update([Stay(2, 9, 61.0)], at_s=100.0)) == 1


def test_a_glimpse_of_someone_in_a_restricted_zone_is_nobody():
    limit = StayLimit("vault")

    assert limit.update([Stay(1, 9, 0.4)], at_s=0.0) == []
    assert len(limit.update([Stay(1, 9, 0.6)], at_s=0.2)) == 1


def test_only_the_forbidden_direction_over_that_line_is_wrong():
    crossings = [
        Crossing("exit", 1, Direction.IN, 5.0),
        Crossing("exit", 2, Direction.OUT, 6.0),
        Crossing("door", 3, Direction.IN, 7.0),
    ]

    found = wrong_crossings(crossings, line="exit", forbidden=Direction.IN)

    assert [(o.about, o.track, o.at_s) for o in found] == [("exit", 1, 5.0)]


def test_going_the_allowed_way_is_fine():
    assert walk([(0.1 + 0.02 * n, 0.5) for n in range(40)]) == []


def test_going_across_and_swaying_is_fine():
    assert walk([(0.5 + 0.03 * (-1) ** n, 0.1 + 0.02 * n) for n in range(40)]) == []


def test_going_back_is_told_once():
    there = [(0.2 + 0.02 * n, 0.5) for n in range(20)]

    found = walk([*there, *reversed(there)])

    assert [(o.about, o.track) for o in found] == [("aisle", 3)]
    assert found[0].value >= 0.1


def test_going_back_outside_the_zone_is_nobodys_business():
    left = [(0.0, 0.0), (0.3, 0.0), (0.3, 1.0), (0.0, 1.0)]

    assert walk([(0.9 - 0.02 * n, 0.5) for n in range(25)], polygon=left) == []


@given(
    st.lists(
        st.tuples(st.floats(-100.0, 0.1), st.floats(0, 1), st.floats(0, 1), st.integers(1, 3)),
        max_size=60,
    )
)
@settings(deadline=None)
def test_a_track_is_told_at_most_once_while_it_is_seen(timeline):
    watch, at_s, told = HeadingWatch("aisle", ZONE, heading=(0.0, 1.0)), 0.0, []
    for step_s, x, y, track in timeline:
        # Forward in steps that end before a number may belong to another person.
        at_s += step_s
        point = np.array([[x, y]]) * SIZE
        told += watch.update(np.array([track]), point, size=SIZE, at_s=at_s)

    assert len({o.track for o in told}) == len(told)
    assert all(o.value >= 0.1 for o in told)
