from datetime import UTC, datetime, timedelta

import pytest

from shopfloor_contracts.aggregates import HEAT_COLUMNS, HEAT_ROWS, HeatData
from shopfloor_edge.vision.heat_periods import HeatPeriods
from unit.shopfloor_edge.test_edge_outbox import traffic

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def heat(minute, *, seconds=1.5, digest="0", coverage=1.0):
    cells = [[0.0] * HEAT_COLUMNS for _ in range(HEAT_ROWS)]
    cells[3][4] = seconds
    return HeatData(
        window_start=NOON + timedelta(minutes=minute),
        window_s=60,
        coverage_ratio=coverage,
        frames=600,
        model_digest=digest * 64,
        zone_version="0" * 12,
        observed_s=60 * coverage,
        people_s=seconds,
        cells_s=cells,
    )


def test_fifteen_minutes_of_heat_are_one_event():
    periods = HeatPeriods(900)

    found = [event for minute in range(15) for event in periods.take([heat(minute)])]

    (event,) = found
    assert (event.window_start, event.window_s) == (NOON, 900)
    assert (event.cells_s[3][4], event.people_s, event.frames) == (22.5, 22.5, 9000)
    assert periods.close() == []


def test_a_period_ends_on_the_clock_whenever_it_began():
    periods = HeatPeriods(900)

    found = [event for minute in range(10, 30) for event in periods.take([heat(minute)])]

    assert [event.window_s for event in found] == [300, 900]


def test_other_figures_do_not_wait():
    data = traffic().data

    assert HeatPeriods(900).take([data, heat(0)]) == [data]


def test_without_a_period_each_window_is_an_event():
    assert HeatPeriods(0).take([heat(0)]) == [heat(0)]


@pytest.mark.parametrize("other", [heat(2), heat(1, digest="1")])
def test_what_does_not_follow_on_is_not_added(other):
    periods = HeatPeriods(900)
    periods.take([heat(0)])

    assert periods.take([other]) == [heat(0)]
    assert periods.close() == [other]


def test_coverage_is_the_mean_over_the_period():
    periods = HeatPeriods(900)
    periods.take([heat(0, coverage=1.0), heat(1, coverage=0.5)])

    (event,) = periods.close()

    assert event.coverage_ratio == 0.75
