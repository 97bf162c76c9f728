from datetime import UTC, date, datetime, timedelta
from xml.etree import ElementTree as ET
from zoneinfo import ZoneInfo

import pytest

from shopfloor_edge.console.charts import HEIGHT, WIDTH, chart_of, heat_svg
from shopfloor_edge.console.usual import Hour, bounds, days_of, figures_of
from shopfloor_edge.journal.history import Stretch

BERLIN = ZoneInfo("Europe/Berlin")
DAY = date(2026, 11, 21)


def traffic(hour, came, *, day=DAY, minute=0, covered=1.0, about="door"):
    at = datetime(day.year, day.month, day.day, hour, minute, tzinfo=BERLIN)
    figures = {"in": came, "out": 0}
    return Stretch(int(at.timestamp()), "entrance", "traffic", about, 900, 900 * covered, figures)


def weeks_ago(number):
    return DAY - timedelta(weeks=number)


def figure(*days, key="in", about="door"):
    padded = [*days, *[[]] * (5 - len(days))]
    found = figures_of(padded, BERLIN)
    return next(one for one in found if (one.measure.key, one.about) == (key, about))


def test_a_day_is_compared_with_the_same_weekday_of_four_weeks():
    assert {day.weekday() for day in days_of(DAY)} == {DAY.weekday()}
    assert days_of(DAY)[-1] == DAY - timedelta(days=28)


def test_today_so_far_is_compared_with_the_same_hours_only():
    today = [traffic(9, 12), traffic(10, 12)]
    before = [[traffic(h, 10, day=weeks_ago(n)) for h in range(8, 20)] for n in (1, 2)]

    found = figure(today, *before)

    assert (found.value, found.like_usual, found.days) == (24, 20, 2)
    assert found.change == pytest.approx(0.2)
    assert [hour.hour for hour in found.hours] == list(range(8, 20))
    assert [hour.now for hour in found.hours][:4] == [None, 12, 12, None]


@pytest.mark.parametrize("blind", ["today", "before"])
def test_a_camera_that_was_down_makes_no_bad_day(blind):
    now, then = (0.2, 1.0) if blind == "today" else (1.0, 0.2)
    today = [traffic(9, 10), traffic(10, 1 if blind == "today" else 10, covered=now)]
    before = [
        traffic(9, 10, day=weeks_ago(1)),
        traffic(10, 10 if blind == "today" else 1, day=weeks_ago(1), covered=then),
    ]

    assert figure(today, before).change == pytest.approx(0.0)


def test_each_quarter_is_the_mean_of_the_weeks_that_have_it():
    today = [traffic(9, 10), traffic(10, 10)]
    one = [traffic(9, 10, day=weeks_ago(1)), traffic(10, 30, day=weeks_ago(1))]
    two = [traffic(9, 20, day=weeks_ago(2))]

    assert figure(today, one, two).like_usual == 15 + 30


def test_a_mean_is_the_ratio_of_the_sums_not_the_mean_of_means():
    def queue(wait_s, served, day=DAY, hour=9):
        at = datetime(day.year, day.month, day.day, hour, tzinfo=BERLIN)
        figures = {"wait_s": wait_s, "served": served}
        return Stretch(int(at.timestamp()), "entrance", "queue", "till", 900, 900, figures)

    found = figure([queue(600, 10), queue(30, 1, hour=10)], key="wait", about="till")

    assert found.value == pytest.approx(630 / 11)


def test_nothing_known_of_the_weeks_before_is_no_comparison():
    found = figure([traffic(9, 12)])

    assert (found.change, found.like_usual, found.days) == (None, None, 0)


@pytest.mark.parametrize(
    ("day", "hours"), [(date(2026, 3, 29), 23), (date(2026, 10, 25), 25), (DAY, 24)]
)
def test_a_local_day_has_its_own_length(day, hours):
    begin, end = bounds(day, BERLIN)

    assert (end - begin) / 3600 == hours
    assert datetime.fromtimestamp(begin, UTC).astimezone(BERLIN).hour == 0


def test_bars_and_dashes_lie_inside_the_chart_and_by_their_value():
    hours = [Hour(9, 10.0, 20.0), Hour(10, 0.0, None), Hour(11, None, 5.0)]

    chart = chart_of(hours, str)

    first, second, third = chart.bars[:3]
    assert first.usual_y < first.y
    assert first.y + first.height == pytest.approx(second.y + second.height, abs=0.2)
    assert (second.known, second.height, third.known) == (True, 0, False)
    assert all(bar.x >= 0 and bar.x + bar.width <= WIDTH for bar in chart.bars)
    assert all(0 <= bar.y <= HEIGHT for bar in chart.bars)


@pytest.mark.parametrize(
    ("largest", "round_to", "top"),
    [(7, 1, "8.0"), (0.3, 1, "0.3"), (0, 1, "1.0"), (95, 60, "120.0"), (4000, 60, "4800.0")],
)
def test_the_lines_across_are_round_and_few(largest, round_to, top):
    chart = chart_of([Hour(9, largest, None)], lambda v: f"{v:.1f}", round_to=round_to)

    assert chart.rows[-1].text == top
    assert 2 <= len(chart.rows) <= 5


@pytest.mark.parametrize("largest", [0, 1, 2, 3, 5, 9])
def test_lines_of_counts_are_whole(largest):
    chart = chart_of([Hour(9, largest, None)], str, least_step=1.0)

    assert all(float(row.text).is_integer() for row in chart.rows)
    assert float(chart.rows[-1].text) >= largest


@pytest.mark.parametrize("hour", [0, 12, 23])
def test_a_day_that_has_just_begun_is_no_single_wide_bar(hour):
    chart = chart_of([Hour(hour, 5.0, None)], str)

    assert len(chart.bars) == 8


def test_heat_is_an_image_with_a_cell_for_each_place_where_somebody_stood():
    cells = [0] * (32 * 18)
    cells[33], cells[40] = 400, 100

    drawn = ET.fromstring(heat_svg(cells))  # noqa: S314 — our own

    rects = list(drawn.iter("{http://www.w3.org/2000/svg}rect"))
    assert [(r.get("x"), r.get("y")) for r in rects] == [("1", "1"), ("8", "1")]
    assert float(rects[0].get("fill-opacity")) > float(rects[1].get("fill-opacity"))


def test_no_heat_is_an_empty_image():
    assert "<rect" not in heat_svg([])
