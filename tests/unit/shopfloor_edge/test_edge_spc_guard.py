"""Alert, stop and restart; and run rules beside their published run lengths."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shopfloor_edge.spc.charts import BernoulliCusum
from shopfloor_edge.spc.guard import ALL, LineGuard, LineState, Watched
from shopfloor_edge.spc.runs import Rule, RunRules


def guard(*classes: str) -> LineGuard:
    return LineGuard(
        {
            name: Watched(BernoulliCusum(rise=10, limit=20), BernoulliCusum(rise=10, limit=40))
            for name in (ALL, *classes)
        }
    )


def states(line: LineGuard, parts: list[bool]) -> list[tuple[int, LineState]]:
    changes = (line.update((), defective=bad) for bad in parts)
    return [(change.part, change.state) for change in changes if change]


def test_a_burst_alerts_first_and_then_stops_the_line() -> None:
    assert states(guard(), [True] * 4) == [(2, LineState.ALERTED), (4, LineState.STOPPED)]


def test_an_alert_goes_only_when_the_chart_is_half_way_down() -> None:
    assert states(guard(), [True, True] + [False] * 12) == [
        (2, LineState.ALERTED),
        (12, LineState.RUNNING),
    ]


def test_no_number_of_good_parts_restarts_a_stopped_line() -> None:
    line = guard()

    states(line, [True] * 4 + [False] * 1000)

    assert line.state is LineState.STOPPED


def test_a_person_restarts_with_calm_charts() -> None:
    line = guard()
    states(line, [True] * 4)

    change = line.restart()

    assert change.state is LineState.RUNNING
    assert states(line, [True]) == []


def test_a_class_of_defects_has_a_chart_of_its_own() -> None:
    line = guard("short")
    for _ in range(3):
        line.update({"spur"}, defective=False)

    changes = [line.update({"short"}, defective=False) for _ in range(2)]

    assert changes[1] is not None
    assert changes[1].chart == "short"


@given(st.lists(st.booleans(), max_size=300))
def test_a_stop_is_never_left_without_a_person(parts: list[bool]) -> None:
    line = guard()
    seen = [line.update((), defective=bad) for bad in parts]

    stops = [change for change in seen if change and change.state is LineState.STOPPED]

    assert len(stops) <= 1
    assert (line.state is LineState.STOPPED) == bool(stops)


@pytest.mark.parametrize(
    ("rules", "published"),
    [
        ({Rule.BEYOND_3, Rule.TWO_OF_THREE}, 225.44),
        ({Rule.BEYOND_3, Rule.EIGHT}, 152.73),
        (set(Rule), 91.75),
    ],
)
def test_run_rules_have_the_published_run_lengths(rules: set[Rule], published: float) -> None:
    random = np.random.default_rng(5)
    lengths = []
    for _ in range(1200):
        watch, length = RunRules(frozenset(rules)), 1
        while not any(watch.update(random.standard_normal())):
            length += 1
        lengths.append(length)

    # The mean of 1200 nearly geometric lengths is known to 2.9 %, asked within four times that.
    assert np.mean(lengths) == pytest.approx(published, rel=0.12)


def test_a_pattern_holds_only_while_its_newest_is_part_of_it() -> None:
    watch = RunRules()
    watch.update(2.5)
    watch.update(2.5)

    above, below = watch.update(0.1)

    assert (above, below) == ([], [])
