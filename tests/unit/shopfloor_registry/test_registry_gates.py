from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from shopfloor_registry.adapters.gates_file import DEFAULT_GATES, read_gates
from shopfloor_registry.domain.gates import (
    AtLeast,
    AtMost,
    DropRule,
    FigureRule,
    LicenceRule,
    SizeRule,
    Subject,
    judge,
)
from shopfloor_registry.domain.stages import Stage, moves_from
from shopfloor_registry.domain.versions import BuildRecord, Figure
from shopfloor_registry.errors import SettingsError

AT = datetime(2026, 3, 1, tzinfo=UTC)
STAGING = (Stage.STAGING,)


def figure(value, *, metric="ap", data="val", target="cpu", minutes=0):
    return Figure(metric, value, data, target, "report", "ada", AT + timedelta(minutes=minutes))


def subject(*figures, licence="MIT", size=100):
    build = BuildRecord("cpu", "0" * 64, size + 10_240, "1" * 64, size)
    return Subject(licence, (build,), figures)


def passes(rule, one, before=None, to=Stage.STAGING):
    return [verdict.passed for verdict in judge([rule], one, to, before)]


@pytest.mark.parametrize(("licence", "passed"), [("MIT", True), ("AGPL-3.0", False)])
def test_a_licence_is_allowed_by_name(licence, passed):
    assert passes(LicenceRule(("MIT",)), subject(licence=licence)) == [passed]


@pytest.mark.parametrize(("size", "passed"), [(100, True), (101, False)])
def test_a_size_at_the_limit_passes(size, passed):
    assert passes(SizeRule(100), subject(size=size)) == [passed]


@pytest.mark.parametrize(
    ("limit", "value", "passed"),
    [
        (AtLeast(0.3), 0.3, True),
        (AtLeast(0.3), 0.29, False),
        (AtMost(0.3), 0.3, True),
        (AtMost(0.3), 0.31, False),
    ],
)
def test_a_figure_at_the_limit_passes(limit, value, passed):
    rule = FigureRule("gate", "ap", limit, STAGING)

    assert passes(rule, subject(figure(value))) == [passed]


def test_the_worst_data_decides():
    rule = FigureRule("gate", "ap", AtLeast(0.3), STAGING)
    one = subject(figure(0.9, data="day"), figure(0.2, data="night"))

    (verdict,) = judge([rule], one, Stage.STAGING, None)

    assert str(verdict) == "gate of cpu: ap 0.2 on night, at least 0.3: failed"


@pytest.mark.parametrize("order", [1, -1])
def test_the_same_measure_later_replaces(order):
    rule = FigureRule("gate", "ap", AtLeast(0.3), STAGING)
    figures = [figure(0.2), figure(0.4, minutes=1)][::order]

    assert passes(rule, subject(*figures)) == [True]


@pytest.mark.parametrize(
    "other", [figure(0.9, metric="ap50"), figure(0.9, target="coral"), figure(0.9, target=None)]
)
def test_another_measure_is_no_evidence(other):
    rule = FigureRule("gate", "ap", AtLeast(0.3), STAGING)

    assert passes(rule, subject(other)) == [False]


@pytest.mark.parametrize(
    ("now", "before", "passed"),
    [
        ([figure(0.28)], [figure(0.30)], True),
        ([figure(0.27)], [figure(0.30)], False),
        ([figure(0.9, data="other")], [figure(0.30)], False),
        ([figure(0.1)], [figure(0.30, metric="ap50")], True),
    ],
)
def test_a_drop_is_measured_on_the_same_data(now, before, passed):
    rule = DropRule("kept", "ap", 0.02, STAGING)

    assert passes(rule, subject(*now), subject(*before)) == [passed]


def test_without_a_version_in_production_nothing_can_be_worse():
    assert passes(DropRule("kept", "ap", 0.02, STAGING), subject()) == [True]


def test_a_rule_of_another_stage_is_not_asked():
    assert passes(LicenceRule(("MIT",), stages=STAGING), subject(), to=Stage.PRODUCTION) == []


def test_no_way_leads_back():
    order = list(Stage)

    assert all(order.index(to) > order.index(one) for one in Stage for to in moves_from(one))


def test_our_own_rules_ask_for_each_kind_of_evidence():
    names = {rule.name for rule in read_gates(DEFAULT_GATES)}

    assert names == {"licence", "size", "accuracy", "latency", "accuracy-kept"}


GOOD = 'licences = ["MIT"]\nsize_bytes_max = 5\n'
GATE = '[[figure]]\nname = "a"\nmetric = "ap"\nstages = ["staging"]\n'


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "licences is missing"),
        (GOOD + "size_max = 1\n", "did you mean 'size_bytes_max'"),
        (GOOD + GATE, "give either min or max"),
        (GOOD + GATE + "min = 0\nmax = 1\n", "give either min or max"),
        (GOOD + GATE + "min = nan\n", "min"),
        (GOOD + GATE.replace("staging", "stage"), "stages"),
        (GOOD + GATE.replace('"a"', '"size"') + "min = 1\n", "two gates are named 'size'"),
        ("[", "not TOML"),
    ],
)
def test_a_wrong_file_of_gates_is_named_with_its_key(tmp_path, text, complaint):
    file = tmp_path / "gates.toml"
    file.write_text(text)

    with pytest.raises(SettingsError, match=complaint) as caught:
        read_gates(file)

    assert str(file) in str(caught.value)
