"""Charts of a defect rate: what signals, what they remember, and their run lengths."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shopfloor_edge.spc.charts import BernoulliCusum, BinomialEwma, Chart, PChart
from shopfloor_edge.spc.lattice import MAX_STATES, run_length

CHARTS = [PChart(50, 4), BernoulliCusum(29, 96), BinomialEwma(10, 20, 40, 76, 200)]


def parts_until_signal(chart: Chart, parts: list[bool]) -> int | None:
    chart.reset()
    return next((n for n, bad in enumerate(parts, 1) if chart.update(defective=bad)), None)


def test_a_p_chart_signals_with_the_last_part_of_a_bad_subgroup() -> None:
    chart = PChart(size=5, limit=2)

    signals = [chart.update(defective=bad) for bad in [True, True, False, False, False]]

    assert signals == [False, False, False, False, True]


def test_defects_of_two_subgroups_are_not_added_up() -> None:
    chart = PChart(size=3, limit=2)

    assert parts_until_signal(chart, [False, False, True, True, False, False]) is None


def test_a_cusum_counts_good_parts_against_defects() -> None:
    chart = BernoulliCusum(rise=5, limit=10)

    assert parts_until_signal(chart, [True, True]) == 2
    assert parts_until_signal(chart, [True, False, True]) is None


def test_good_parts_save_up_no_credit() -> None:
    chart = BernoulliCusum(rise=5, limit=10)

    assert parts_until_signal(chart, [False] * 1000 + [True, True]) == 1002


def test_an_ewma_tells_of_many_slightly_bad_subgroups() -> None:
    chart = BinomialEwma(size=10, memory=5, floor=10, limit=40, per_part=50)
    one_in_ten = ([True] + [False] * 9) * 20

    first = parts_until_signal(chart, one_in_ten)

    assert first is not None
    assert 20 < first < 200


@pytest.mark.parametrize("chart", CHARTS, ids=lambda chart: type(chart).__name__)
def test_no_defect_never_signals(chart: Chart) -> None:
    assert chart.average_run_length(0.0) == math.inf
    assert parts_until_signal(chart, [False] * 5000) is None


@pytest.mark.parametrize("chart", CHARTS, ids=lambda chart: type(chart).__name__)
def test_more_defects_are_told_sooner(chart: Chart) -> None:
    lengths = [chart.average_run_length(rate) for rate in (0.005, 0.01, 0.03, 0.1, 0.5)]

    assert lengths == sorted(lengths, reverse=True)


@pytest.mark.parametrize("chart", CHARTS, ids=lambda chart: type(chart).__name__)
def test_computed_run_lengths_are_those_of_the_chart_that_runs(chart: Chart) -> None:
    random = np.random.default_rng(3)
    runs = [parts_until_signal(chart, (random.random(20_000) < 0.06).tolist()) for _ in range(800)]

    # 800 runs of a nearly geometric length: the mean is known to 3.5 %, asked within four times.
    assert np.mean([run for run in runs if run]) == pytest.approx(
        chart.average_run_length(0.06), rel=0.14
    )


@given(st.lists(st.booleans(), max_size=200), st.integers(0, 200))
@settings(max_examples=60)
def test_a_chart_that_is_written_down_goes_on_where_it_was(parts: list[bool], at: int) -> None:
    whole, first = BinomialEwma(7, 5, 10, 40, 50), BinomialEwma(7, 5, 10, 40, 50)
    signals = [whole.update(defective=bad) for bad in parts]

    began = [first.update(defective=bad) for bad in parts[:at]]
    again = BinomialEwma(7, 5, 10, 40, 50, first.steps, first.seen, first.defects)

    assert began + [again.update(defective=bad) for bad in parts[at:]] == signals


def test_a_chart_too_large_to_be_solved_is_refused() -> None:
    with pytest.raises(ValueError, match="at most 200000"):
        run_length(MAX_STATES + 1, lambda states, _: states, {0: 1.0})
