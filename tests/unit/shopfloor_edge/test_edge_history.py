import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from shopfloor_contracts.events import Kind, LineCount, TrafficData, parse_event
from shopfloor_edge.errors import JournalError
from shopfloor_edge.journal.history import (
    DAY_S,
    KEPT_DAYS,
    MAXIMA,
    SUMS,
    enter,
    read_heat,
    read_history,
)
from shopfloor_edge.journal.outbox import Draft, Outbox

GOLDEN = Path(__file__).parents[2] / "contract" / "golden"
NOON = datetime(2026, 11, 2, 12, 0, tzinfo=UTC)
NOON_S = NOON.timestamp()
SOURCE = "/sites/s/devices/d/cameras/door"
EVER = {"from_s": 0, "to_s": 1e11}


def traffic(minute=0.0, came=1, *, coverage=1.0, line="main"):
    return TrafficData(
        window_start=NOON + timedelta(minutes=minute),
        window_s=60,
        coverage_ratio=coverage,
        frames=600,
        model_digest="a" * 64,
        zone_version="0" * 12,
        lines=[LineCount(line=line, crossings_in=came, crossings_out=2)],
    )


def commit(folder, *data, source=SOURCE):
    outbox = Outbox(folder, max_rows=100_000, max_bytes=10**9)
    outbox.commit([Draft(one, source, NOON) for one in data])
    outbox.close()


def golden(kind):
    return parse_event((GOLDEN / f"{kind}.json").read_bytes()).data


def test_the_windows_of_a_quarter_of_an_hour_add_up(tmp_path):
    commit(tmp_path, traffic(0, 3), traffic(14, 4, coverage=0.5), traffic(15, 5))

    first, second = read_history(tmp_path, **EVER)

    assert (first.camera, first.kind, first.about) == ("door", "traffic", "main")
    assert (first.figures, second.figures["in"]) == ({"in": 7, "out": 4}, 5)
    assert (first.window_s, first.covered_s) == (120, 90)
    assert second.began_at - first.began_at == 900


def test_the_order_of_the_windows_does_not_matter(tmp_path):
    windows = [traffic(minute, came) for minute, came in zip(range(30), range(30), strict=True)]
    shuffled = random.Random(5).sample(windows, 30)

    commit(tmp_path / "a", *windows)
    commit(tmp_path / "b", *shuffled)

    assert read_history(tmp_path / "a", **EVER) == read_history(tmp_path / "b", **EVER)


@pytest.mark.parametrize("kind", sorted(SUMS))
def test_each_kind_of_figure_is_kept_under_its_names_and_twice_is_double(kind, tmp_path):
    commit(tmp_path, golden(kind))
    once = read_history(tmp_path, **EVER)

    commit(tmp_path, golden(kind))

    for one, two in zip(once, read_history(tmp_path, **EVER), strict=True):
        assert list(one.figures) == [*SUMS[kind], *MAXIMA.get(kind, ())]
        for name, value in one.figures.items():
            times = 1 if name in MAXIMA.get(kind, ()) else 2
            assert two.figures[name] == pytest.approx(times * value)


def test_heat_is_a_grid_per_hour_that_adds_up(tmp_path):
    heat = golden(Kind.HEAT)

    commit(tmp_path, heat, heat)

    cells = read_heat(tmp_path, "door", **EVER)
    assert sum(cells) == pytest.approx(20 * heat.people_s, abs=1)
    assert len(cells) == 32 * 18
    assert read_heat(tmp_path, "other", **EVER) == []


def test_what_the_disk_refuses_is_in_neither_history_nor_outbox(tmp_path):
    outbox = Outbox(tmp_path, max_rows=100, max_bytes=10**7)

    def refuse(connection):
        enter(connection, SOURCE, traffic())
        connection.execute("INSERT INTO nowhere VALUES (1)")

    with pytest.raises(JournalError):
        outbox.commit([Draft(traffic(), SOURCE, NOON)], refuse)

    assert read_history(tmp_path, **EVER) == []
    outbox.close()


def test_only_the_newest_days_are_kept(tmp_path):
    commit(tmp_path, *(traffic(minute=day * 1440) for day in range(KEPT_DAYS + 3)))

    kept = read_history(tmp_path, **EVER)

    assert len(kept) == KEPT_DAYS
    assert kept[0].began_at == NOON_S + 3 * DAY_S


def test_a_clock_far_ahead_for_a_moment_costs_one_old_day(tmp_path):
    commit(tmp_path, *(traffic(minute=day * 1440) for day in range(KEPT_DAYS)))

    commit(tmp_path, traffic(minute=1440 * 10_000))

    assert len(read_history(tmp_path, **EVER)) == KEPT_DAYS


def test_events_without_a_history_are_passed_over(tmp_path):
    commit(tmp_path, golden(Kind.SENSOR), golden(Kind.INSPECTION), golden(Kind.ALERT))

    assert read_history(tmp_path, **EVER) == []
