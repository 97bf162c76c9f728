"""Designs: the false alarms that were asked for, and the order in which charts tell."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shopfloor_edge.main import main
from shopfloor_edge.spc.charts import BernoulliCusum
from shopfloor_edge.spc.design import Aim, design_cusum, design_ewma, design_p_chart
from shopfloor_edge.spc.normal import NormalCusum, NormalEwma

AIM = Aim(0.01, 0.03, 2000.0)


@pytest.mark.parametrize("design", [design_cusum, design_ewma, design_p_chart])
def test_no_design_cries_wolf_oftener_than_asked(design) -> None:
    found = design(AIM)

    assert found.arl0 >= AIM.arl0
    assert found.arl1 < found.arl0 / 5


def test_a_cusum_has_the_lowest_limit_that_keeps_the_aim() -> None:
    chart = design_cusum(AIM).chart

    assert BernoulliCusum(chart.rise, chart.limit - 1).average_run_length(AIM.p0) < AIM.arl0


def test_a_lasting_shift_is_told_soonest_by_the_cusum() -> None:
    cusum, ewma, p_chart = design_cusum(AIM), design_ewma(AIM), design_p_chart(AIM)

    assert cusum.arl1 < ewma.arl1 < p_chart.arl1


@given(st.floats(0.001, 0.05), st.floats(1.5, 6.0), st.floats(100.0, 1e6))
@settings(max_examples=25, deadline=None)
def test_every_aim_gets_a_cusum_that_keeps_it(p0: float, times: float, arl0: float) -> None:
    found = design_cusum(Aim(p0, p0 * times, arl0))

    assert arl0 <= found.arl0
    assert found.arl1 <= found.arl0


@pytest.mark.parametrize(
    ("limit", "shift", "published"), [(4.0, 0.0, 168.0), (5.0, 0.0, 465.0), (5.0, 1.0, 10.4)]
)
def test_a_cusum_of_values_has_the_published_run_lengths(
    limit: float, shift: float, published: float
) -> None:
    assert NormalCusum(0.5, limit).average_run_length(shift) == pytest.approx(published, rel=0.01)


@pytest.mark.parametrize(("shift", "published"), [(0.0, 500.0), (1.0, 10.3)])
def test_an_ewma_of_values_has_the_published_run_lengths(shift: float, published: float) -> None:
    assert NormalEwma(0.1, 2.814).average_run_length(shift) == pytest.approx(published, rel=0.01)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--p0", ".05", "--p1", ".02", "--arl0", "1e6"], "0 < p0 < p1 < 1"),
        (["--p0", ".01", "--p1", ".02", "--arl0", "3"], "10 to 1e12 parts"),
        (["--p0", ".01", "--p1", ".02", "--arl0", "nan"], "10 to 1e12 parts"),
        (
            ["--p0", ".01", "--p1", ".02", "--arl0", "1000", "--parts-per-minute", "0"],
            "expected > 0",
        ),
    ],
)
def test_an_aim_that_makes_no_sense_is_one_line(capsys, arguments, said) -> None:
    code = main(["spc", "design", *arguments])

    assert code == 2
    assert said in capsys.readouterr().err


def test_the_command_shows_each_chart_and_its_delay(capsys) -> None:
    code = main(["spc", "design", "--p0", ".01", "--p1", ".03", "--arl0", "2000"])

    shown = capsys.readouterr().out
    assert code == 0
    assert [line.split()[0] for line in shown.splitlines()[1:4]] == ["p-chart", "cusum", "ewma"]
    assert "168" in shown.splitlines()[2]
