"""Who is in which wave, and when a site's window is open."""

from collections import Counter
from datetime import UTC, datetime, time
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shopfloor_campaigns.domain.plan import Window
from shopfloor_campaigns.domain.waves import assign_waves, is_open, wave_sizes

SIZES = st.lists(st.integers(1, 50) | st.floats(0.001, 1.0), min_size=1, max_size=6)


@settings(deadline=None)
@given(st.integers(0, 500), SIZES)
def test_every_device_is_in_exactly_one_wave(total, waves):
    names = [f"d{number}" for number in range(total)]

    found = assign_waves(names, waves, "a")

    assert set(found) == set(names)
    sizes = wave_sizes(total, waves)
    assert Counter(found.values()) == Counter({n: size for n, size in enumerate(sizes) if size})


def test_shares_are_of_what_the_waves_before_left():
    assert wave_sizes(100, [10, 0.1, 0.5, 1.0]) == [10, 9, 41, 40]


@pytest.mark.parametrize(
    ("at", "opened"), [("16:59", False), ("17:00", True), ("18:59", True), ("19:00", False)]
)
def test_a_window_is_by_the_clock_of_the_site(at, opened):
    window = Window(time(2), time(4))
    now = datetime.fromisoformat(f"2026-03-02T{at}:00+00:00")

    assert is_open(window, ZoneInfo("Asia/Tokyo"), now) is opened


def test_past_midnight_a_window_belongs_to_the_day_on_which_it_began():
    monday_night = Window(time(22), time(4), frozenset({0}))
    tuesday, monday = (datetime(2026, 3, day, 3, tzinfo=UTC) for day in (3, 2))

    assert is_open(monday_night, ZoneInfo("UTC"), tuesday)
    assert not is_open(monday_night, ZoneInfo("UTC"), monday)
