from __future__ import annotations

import itertools
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shopfloor_edge.analytics.presence import Observation
from shopfloor_edge.analytics.rules import AlertState, Rule, RuleEngine

NOON = datetime(2026, 11, 2, 12, 0, tzinfo=UTC)
RAISED, CLEARED, NOISY = AlertState.RAISED, AlertState.CLEARED, AlertState.NOISY


def engine(*rules, **limits):
    return RuleEngine(rules, zone=UTC, **limits)


def look(device, values, *, rule="queue", step_s=1.0, start=NOON):
    """Show one rule a value a second; return what it said, with the seconds."""
    said = []
    for number, value in enumerate(values):
        now = start + timedelta(seconds=number * step_s)
        said += [(number, alert.state) for alert in device.update(now, {rule: value})]
    return said


def person(track, value=1.0):
    return Observation("vault", track, value, 0.0)


def test_a_level_is_told_when_it_has_held_for_long_enough():
    rule = Rule("queue", above=5, for_s=3)

    assert look(engine(rule), [6, 6, 6, 5, 6, 6, 6, 6, 6]) == [(7, RAISED)]


def test_it_clears_with_hysteresis():
    rule = Rule("queue", above=5, clear=3)

    assert look(engine(rule), [6, 5, 4, 6, 4, 3, 4]) == [(0, RAISED), (5, CLEARED)]


def test_a_rule_below_a_limit_clears_above():
    rule = Rule("shelf", below=0.8, clear=0.9)

    assert look(engine(rule), [0.7, 0.85, 0.95], rule="shelf") == [(0, RAISED), (2, CLEARED)]


def test_an_alert_says_since_when_and_how_much():
    device = engine(Rule("queue", above=5, for_s=2))
    for second in range(2):
        device.update(NOON + timedelta(seconds=second), {"queue": 7})

    [alert] = device.update(NOON + timedelta(seconds=2), {"queue": 9})

    assert (alert.rule, alert.value, alert.threshold, alert.track) == ("queue", 9, 5, None)
    assert (alert.since, alert.at) == (NOON, NOON + timedelta(seconds=2))


def test_what_was_not_observed_neither_raises_nor_clears():
    rule = Rule("queue", above=5)

    assert look(engine(rule), [None, 6, None, None, 6]) == [(1, RAISED)]


def test_a_gap_proves_nothing():
    device = engine(Rule("queue", above=5, for_s=30))
    device.update(NOON, {"queue": 9})

    assert device.update(NOON + timedelta(hours=1), {"queue": 9}) == []


def test_within_the_cooldown_nothing_is_raised_again():
    rule = Rule("queue", above=5, cooldown_s=10)

    said = look(engine(rule, noisy_per_hour=100), [6, 0] * 3 + [0] * 5 + [6, 0])

    assert said == [(0, RAISED), (1, CLEARED), (11, RAISED), (12, CLEARED)]


def test_what_was_left_unsaid_is_counted():
    device = engine(Rule("queue", above=5, cooldown_s=10))
    look(device, [6, 0, 6, 0, 6, 0])

    [alert] = device.update(NOON + timedelta(seconds=20), {"queue": 6})

    assert alert.suppressed == 2


def test_what_is_still_so_after_the_cooldown_is_told_then():
    rule = Rule("queue", above=5, cooldown_s=10)

    said = look(engine(rule), [6, 0] + [6] * 20)

    assert said == [(0, RAISED), (1, CLEARED), (10, RAISED)]


def test_each_person_is_told_once():
    device = engine(Rule("vault", cooldown_s=0))

    said = [device.update(NOON, {}, {"vault": [person(track)]}) for track in (1, 1, 2)]

    assert [[alert.track for alert in alerts] for alerts in said] == [[1], [], [2]]


@pytest.mark.parametrize(
    ("hour_utc", "raised"), [(20, True), (21, False), (23, False), (4, False), (5, True)]
)
def test_quiet_hours_are_in_the_sites_time_zone(hour_utc, raised):
    # Berlin is one hour ahead in November.
    rule = Rule("queue", above=5, quiet=[(time(22), time(6))])
    device = RuleEngine([rule], zone=ZoneInfo("Europe/Berlin"))

    alerts = device.update(NOON.replace(hour=hour_utc), {"queue": 9})

    assert bool(alerts) is raised


def test_what_is_still_so_when_quiet_hours_end_is_told_then():
    rule = Rule("queue", above=5, quiet=[(time(12), time(12, 1))])

    assert look(engine(rule), [9] * 70) == [(60, RAISED)]


def test_the_end_is_told_in_quiet_hours_too():
    rule = Rule("queue", above=5, quiet=[(time(12, 1), time(13))])

    assert look(engine(rule), [9] * 70 + [0]) == [(0, RAISED), (70, CLEARED)]


def test_the_budget_is_for_all_rules_together():
    device = engine(*(Rule(f"rule-{n}", above=5) for n in range(5)), budget_per_hour=3)

    alerts = device.update(NOON, {f"rule-{n}": 9 for n in range(5)})

    assert len(alerts) == 3


def test_a_rule_that_fires_too_often_is_reported_as_noisy_once_an_hour():
    rule = Rule("queue", above=5, cooldown_s=600)
    device = engine(rule, noisy_per_hour=3)

    said = look(device, [6, 0] * 20)

    assert [state for _, state in said] == [RAISED, CLEARED, NOISY]
    assert device.noisy() == ["queue"]


def test_a_noisy_rule_is_forgiven_after_an_hour():
    device = engine(Rule("queue", above=5), noisy_per_hour=3)
    look(device, [6, 0] * 20)

    device.update(NOON + timedelta(hours=2), {"queue": 0})

    assert device.noisy() == []


timelines = st.lists(
    st.tuples(
        st.floats(-7200, 1200),
        st.dictionaries(st.sampled_from(["a", "b"]), st.integers(0, 10), max_size=2),
        st.lists(st.integers(1, 30), max_size=3),
    ),
    max_size=80,
)
RULES = (
    Rule("a", above=5, clear=3, for_s=5, cooldown_s=60),
    Rule("b", below=4, cooldown_s=900),
    Rule("c", cooldown_s=120),
)


@given(timelines)
@settings(deadline=None)
def test_budget_cooldown_and_pairs_hold_whatever_happens(timeline):
    device = engine(*RULES, budget_per_hour=4, noisy_per_hour=3)
    now, steady_s, said = NOON, 0.0, []
    for step_s, levels, tracks in timeline:
        now += timedelta(seconds=step_s)
        # A clock that is set back makes time stand still.
        steady_s += max(0.0, step_s)
        observed = {"c": [person(track) for track in tracks]}
        said += [(steady_s, alert) for alert in device.update(now, levels, observed)]

    counted = [at_s for at_s, alert in said if alert.state is not CLEARED]
    assert all(sum(at_s - 3599.9 < other <= at_s for other in counted) <= 4 for at_s in counted)
    for rule in RULES:
        raised = [at_s for at_s, a in said if a.rule == rule.name and a.state is RAISED]
        assert all(b - a >= rule.cooldown_s - 1e-3 for a, b in itertools.pairwise(raised))
        states = [a.state for _, a in said if a.rule == rule.name and a.state is not NOISY]
        if rule.name != "c":
            assert all(x is not y for x, y in itertools.pairwise(states))
    people = [alert.track for _, alert in said if alert.rule == "c" and alert.state is RAISED]
    assert len(set(people)) == len(people)


def test_cameras_that_take_turns_do_not_share_their_time():
    device = engine(Rule("a", above=5, for_s=4), Rule("b", above=5, for_s=4))
    said = []
    for second in range(7):
        rule = "ab"[second % 2]
        said += device.update(NOON + timedelta(seconds=second), {rule: 9})

    assert [(a.rule, (a.at - NOON).total_seconds()) for a in said] == [("a", 4.0), ("b", 5.0)]
