import pytest
from hypothesis import given
from hypothesis import strategies as st

from shopfloor_edge.analytics.lines import Crossing, Direction
from shopfloor_edge.analytics.windows import WindowAggregator

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
