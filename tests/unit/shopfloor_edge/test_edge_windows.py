import pytest
from hypothesis import given
from hypothesis import strategies as st

from shopfloor_edge.analytics.lines import Crossing, Direction
from shopfloor_edge.analytics.windows import Reading, WindowAggregator

EDGES = (1, 2, 3, 5, 8, 13, 21)
HOUR = 1_700_000_000 // 60 * 60


def aggregator(**changes):
    values = {
        "lines": ["door"],
        "zones": ["till"],
        "edges": EDGES,
        "window_s": 60.0,
        "max_gap_s": 1.0,
    }
    return WindowAggregator(**(values | changes))


def went_in(at_s=0.0):
    return Crossing("door", 1, Direction.IN, at_s)


def run(windows, observations):
    closed = []
    for at_s, crossings, people in observations:
        closed += windows.observe(at_s, [went_in()] * crossings, {"till": people})
    last = windows.close()
    return closed + ([last] if last else [])


def test_windows_are_aligned_to_the_clock():
    windows = run(aggregator(), [(HOUR + 37.5, 0, 0), (HOUR + 61, 0, 0)])

    assert [window.start_s for window in windows] == [HOUR, HOUR + 60]


def test_a_quiet_window_is_reported_too():
    windows = run(aggregator(max_gap_s=1000), [(HOUR, 1, 0), (HOUR + 150, 0, 0)])

    assert [window.crossings["door"][Direction.IN] for window in windows] == [1, 0, 0]
    assert [window.coverage_ratio for window in windows] == [1.0, 1.0, 0.5]


def test_a_gap_is_not_observed():
    windows = run(aggregator(), [(HOUR, 0, 2), (HOUR + 0.5, 0, 2), (HOUR + 30, 0, 2)])

    assert windows[0].observed_s == 0.5
    assert windows[0].zones["till"].people_s == 1.0


def test_people_are_integrated_over_time_and_split_at_the_border():
    windows = run(aggregator(), [(HOUR + 59.5, 0, 3), (HOUR + 60.5, 0, 0)])

    assert [window.zones["till"].people_s for window in windows] == [1.5, 1.5]
    assert windows[0].zones["till"].histogram_s[3] == 0.5


def test_who_stays_over_the_border_counts_for_the_new_windows_maximum():
    windows = run(aggregator(), [(HOUR + 59.5, 0, 4), (HOUR + 60.5, 0, 1)])

    assert [window.zones["till"].people_max for window in windows] == [4, 4]


def test_a_camera_that_never_answers_is_reported_as_unseen():
    windows = aggregator()
    windows.advance(HOUR)

    closed = windows.settle(HOUR + 121.5)

    assert [window.coverage_ratio for window in closed] == [0.0, 0.0]


def test_a_window_waits_for_the_frame_that_may_still_cover_its_end():
    windows = aggregator()
    windows.observe(HOUR + 59.5, [], {"till": 0})

    assert windows.settle(HOUR + 60.2) == []
    assert len(windows.settle(HOUR + 61.1)) == 1


@given(
    st.lists(st.tuples(st.floats(0.01, 3.0), st.integers(0, 2), st.integers(0, 30)), max_size=60),
    st.sampled_from([1.0, 7.0, 60.0]),
)
def test_nothing_is_lost_or_counted_twice(observations, window_s):
    at_s, timeline, seen_s, people_s = float(HOUR), [], 0.0, 0.0
    before = None
    for gap_s, crossings, people in observations:
        at_s += gap_s
        timeline.append((at_s, crossings, people))
        if before is not None and gap_s <= 1.0:
            seen_s += gap_s
            people_s += gap_s * before
        before = people

    windows = run(aggregator(window_s=window_s), timeline)

    counted = sum(window.crossings["door"][Direction.IN] for window in windows)
    assert counted == sum(crossings for _, crossings, _ in timeline)
    assert sum(window.frames for window in windows) == len(timeline)
    assert sum(window.observed_s for window in windows) == pytest.approx(seen_s, abs=1e-4)
    zones = [window.zones["till"] for window in windows]
    assert sum(zone.people_s for zone in zones) == pytest.approx(people_s, abs=1e-3)
    assert sum(sum(zone.histogram_s) for zone in zones) == pytest.approx(seen_s, abs=1e-4)
    starts = [window.start_s for window in windows]
    assert starts == sorted(set(starts))


class Presence:
    """An analytic's sums, as small as they come."""

    def __init__(self):
        self.level_s, self.observed_s, self.visits = 0.0, 0.0, 0

    def hold(self, level, seconds):
        self.level_s += level * seconds
        self.observed_s += seconds

    def add(self, visits):
        self.visits += visits


def with_presence(**changes):
    return aggregator(analytics={"presence": Presence}, **changes)


def test_a_further_analytic_is_held_and_counted_per_window():
    windows = with_presence()
    closed = windows.observe(HOUR + 59.5, [], {}, {"presence": Reading(2, [1, 1])})
    closed += windows.observe(HOUR + 60.5, [], {}, {"presence": Reading(0, [1])})

    sums = [window.sums["presence"] for window in [*closed, windows.close()]]
    assert [(s.level_s, s.observed_s, s.visits) for s in sums] == [(1.0, 0.5, 2), (1.0, 0.5, 1)]


def test_an_analytic_that_was_not_read_leaves_no_zeros():
    windows = with_presence()
    windows.observe(HOUR, [], {}, {"presence": Reading(1)})

    closed = windows.observe(HOUR + 150, [], {}, {})

    assert [sorted(window.sums) for window in [*closed, windows.close()]] == [
        ["presence"],
        [],
        [],
    ]


def test_what_ends_with_the_file_counts_in_its_last_window():
    windows = with_presence()
    windows.observe(HOUR, [], {}, {"presence": Reading(1)})

    windows.happened("presence", 3)

    assert windows.close().sums["presence"].visits == 3


def test_a_clock_set_back_closes_the_window_and_counts_no_time_twice():
    windows = with_presence()
    for at_s in (HOUR, HOUR + 1, HOUR + 2):
        windows.observe(at_s, [], {}, {"presence": Reading(1)})

    [before] = windows.observe(HOUR - 3600, [], {}, {"presence": Reading(1)})

    windows.observe(HOUR - 3599, [], {}, {"presence": Reading(1)})
    after = windows.close()
    assert (before.start_s, before.observed_s) == (HOUR, 2.0)
    assert (after.start_s, after.observed_s) == (HOUR - 3600, 1.0)


def test_a_clock_set_forward_by_years_makes_no_windows_in_between():
    windows = aggregator()
    windows.observe(HOUR, [], {"till": 0})

    closed = windows.observe(HOUR + 10 * 365 * 86_400, [], {"till": 0})

    assert len(closed) == 1


@given(st.lists(st.floats(-200.0, 200.0), max_size=60))
def test_whatever_the_clock_does_no_window_holds_more_than_its_length(gaps_s):
    windows, at_s, closed = with_presence(), float(HOUR), []
    for gap_s in gaps_s:
        at_s += gap_s
        closed += windows.observe(at_s, [], {"till": 1}, {"presence": Reading(1, [1])})
    last = windows.close()
    closed += [last] if last else []

    assert sum(window.frames for window in closed) == len(gaps_s)
    assert sum(w.sums["presence"].visits for w in closed if w.sums) == len(gaps_s)
    # A step back by less than the gap that is allowed is jitter, and stays in its window.
    jitters = sum(-1.0 <= gap < 0 for gap in gaps_s)
    assert all(0 <= window.observed_s <= 60.0 + jitters + 1e-3 for window in closed)
    forward_s = sum(gap for gap in gaps_s if 0 < gap <= 1.0)
    assert sum(window.observed_s for window in closed) <= forward_s + 1e-3
