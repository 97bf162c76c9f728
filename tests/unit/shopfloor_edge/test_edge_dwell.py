from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shopfloor_edge.analytics.dwell import GRACE_S, DwellSums, VisitChanges, ZoneVisits

SIZE = (800, 600)
ZONE = [(0.25, 0.25), (0.75, 0.25), (0.75, 0.75), (0.25, 0.75)]
EDGES = (5, 15, 30, 60, 120, 300, 600)
INSIDE, OUTSIDE = (0.5, 0.5), (0.1, 0.5)


class Clip:
    """Leads tracks through one zone, a frame every tenth of a second."""

    def __init__(self):
        self.visits = ZoneVisits("till", ZONE)
        self.at_s = 1000.0
        self.entered, self.ended = [], []

    def show(self, people, *, frames=1):
        for _ in range(frames):
            ids = np.array(list(people), np.int64)
            points = np.array(list(people.values())).reshape(-1, 2) * SIZE
            self.note(self.visits.update(ids, points, size=SIZE, at_s=self.at_s))
            self.at_s += 0.1
        return self

    def note(self, changes):
        self.entered += changes.entered
        self.ended += changes.ended


def test_a_visit_lasts_from_the_first_frame_inside_to_the_last():
    clip = Clip().show({1: OUTSIDE}).show({1: INSIDE}, frames=51).show({1: OUTSIDE})

    [visit] = clip.ended
    assert clip.entered == [1]
    assert (visit.zone, visit.track, visit.lost) == ("till", 1, False)
    assert visit.dwell_s == pytest.approx(5.0)
    assert visit.entered_at_s == pytest.approx(1000.1)


def test_dithering_on_the_border_is_one_visit():
    clip = Clip().show({1: INSIDE})
    for step in range(40):
        clip.show({1: (0.25 + 0.005 * (-1) ** step, 0.5)})
    clip.show({1: OUTSIDE})

    assert clip.entered == [1]
    assert len(clip.ended) == 1


def test_who_is_hidden_for_a_moment_stays():
    clip = Clip().show({1: INSIDE}, frames=11).show({}, frames=15).show({1: INSIDE}, frames=10)
    clip.show({1: OUTSIDE})

    assert clip.entered == [1]
    assert [visit.dwell_s for visit in clip.ended] == [pytest.approx(3.5)]


def test_a_hidden_person_who_gets_another_number_goes_on_with_the_visit():
    clip = Clip().show({1: INSIDE}, frames=11).show({}, frames=10).show({7: (0.52, 0.5)}, frames=10)
    clip.show({7: OUTSIDE})

    assert clip.entered == [1]
    assert [(v.track, v.dwell_s) for v in clip.ended] == [(7, pytest.approx(3.0))]


@pytest.mark.parametrize("newcomer", [(0.72, 0.72), (0.27, 0.3)])
def test_a_newcomer_far_away_has_a_visit_of_their_own(newcomer):
    clip = Clip().show({1: INSIDE}, frames=11).show({}, frames=5).show({7: newcomer}, frames=30)

    assert clip.entered == [1, 7]
    assert [(v.track, v.lost) for v in clip.ended] == [(1, True)]


def test_who_walks_in_takes_over_nobodys_visit():
    clip = Clip().show({1: (0.27, 0.5), 7: OUTSIDE}, frames=5).show({7: (0.26, 0.5)}, frames=5)

    assert clip.entered == [1, 7]


def test_who_never_comes_back_left_when_last_seen():
    clip = Clip().show({1: INSIDE}, frames=21).show({}, frames=30)

    assert [(v.dwell_s, v.lost) for v in clip.ended] == [(pytest.approx(2.0), True)]


def test_an_outage_is_not_dwelling():
    clip = Clip().show({1: INSIDE}, frames=11)
    clip.at_s += 3600

    clip.show({1: INSIDE}, frames=11).show({1: OUTSIDE})

    assert [visit.dwell_s for visit in clip.ended] == [pytest.approx(1.0)] * 2


def test_a_clock_that_is_set_back_takes_nothing_away():
    clip = Clip().show({1: INSIDE}, frames=11)
    clip.at_s -= 3600

    clip.show({1: INSIDE}, frames=11).show({1: OUTSIDE})

    assert clip.entered == [1]
    assert [visit.dwell_s for visit in clip.ended] == [pytest.approx(2.0)]


def test_the_end_ends_every_visit():
    clip = Clip().show({1: INSIDE, 2: INSIDE}, frames=11)

    clip.note(clip.visits.close())

    assert sorted(visit.track for visit in clip.ended) == [1, 2]
    assert clip.visits.count == 0


def test_the_sums_of_two_windows_add_up_to_those_of_one():
    sums = DwellSums(EDGES)
    clip = Clip().show({1: INSIDE, 2: INSIDE}, frames=70).show({1: OUTSIDE, 2: INSIDE})
    clip.show({}, frames=25)
    sums.hold(1, 9.5)

    sums.add(VisitChanges(tuple(clip.entered), tuple(clip.ended)))

    assert (sums.entries, sums.exits, sums.lost, sums.observed_s) == (2, 2, 1, 9.5)
    assert sums.dwell_s == pytest.approx(6.9 + 7.0)
    assert sums.dwell_max_s == pytest.approx(7.0)
    assert sums.histogram == [0, 2, 0, 0, 0, 0, 0, 0]


steps = st.lists(
    st.tuples(
        st.floats(-5.0, 5.0),
        st.dictionaries(
            st.integers(1, 4), st.sampled_from([INSIDE, OUTSIDE, (0.24, 0.5), (0.7, 0.7)])
        ),
    ),
    max_size=60,
)


@given(steps)
@settings(deadline=None)
def test_nothing_is_negative_or_counted_twice_whatever_the_clock_does(timeline):
    clip, elapsed_s, longest = Clip(), 0.0, 0
    for step_s, people in timeline:
        clip.at_s += step_s
        elapsed_s += max(0.0, step_s) + 0.1
        longest = max(longest, len(people))
        clip.show(people)
        assert clip.visits.count == len(clip.entered) - len(clip.ended)
        assert len({stay.number for stay in clip.visits.present()}) == clip.visits.count
    clip.note(clip.visits.close())

    assert len(clip.entered) == len(clip.ended)
    assert all(0 <= visit.dwell_s <= elapsed_s for visit in clip.ended)
    # Nobody is hidden for longer than the grace, and a gap that long ends every visit.
    seen_s = sum(visit.dwell_s for visit in clip.ended)
    assert seen_s <= 4 * (elapsed_s + GRACE_S) + 1e-6


def test_a_person_whose_number_changes_while_they_are_seen_is_one_visit():
    beside = (0.52, 0.5)
    clip = Clip().show({1: INSIDE}, frames=21).show({1: INSIDE, 7: beside}, frames=6)

    clip.show({7: beside}, frames=30).show({7: OUTSIDE})

    assert clip.entered == [1]
    assert [(v.track, v.dwell_s) for v in clip.ended] == [(7, pytest.approx(5.6))]


def test_a_double_that_flickers_is_nobody():
    clip = Clip().show({1: INSIDE}, frames=5).show({1: INSIDE, 7: (0.52, 0.5)}, frames=5)

    clip.show({1: INSIDE}, frames=40).show({1: OUTSIDE})

    assert clip.entered == [1]
    assert [visit.track for visit in clip.ended] == [1]


def test_a_person_who_appears_beside_another_and_stays_is_counted_from_the_start():
    clip = Clip().show({1: INSIDE}, frames=5).show({1: INSIDE, 7: (0.52, 0.5)}, frames=31)

    clip.show({1: OUTSIDE, 7: OUTSIDE})

    assert clip.entered == [1, 7]
    assert [(v.track, v.dwell_s) for v in clip.ended] == [
        (1, pytest.approx(3.5)),
        (7, pytest.approx(3.0)),
    ]


def test_two_people_who_come_together_are_two():
    clip = Clip().show({1: INSIDE, 2: (0.52, 0.5)})

    assert clip.entered == [1, 2]
