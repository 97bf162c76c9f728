"""Gates pass, fail or wait by intervals; three frames decide nothing."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from shopfloor_campaigns.domain import intervals
from shopfloor_campaigns.domain.gates import Answer, Figures, judge
from shopfloor_campaigns.domain.intervals import Clusters
from shopfloor_campaigns.domain.plan import Gate, GateRule

HISTOGRAM = (0, 200, 600, 195, 5, 0, 0, 0, 0)
CONFIDENCE = st.sampled_from([0.8, 0.9, 0.95, 0.99])


def verdict(gate, limit, minimum=100, **figures):
    return judge(GateRule(gate, limit, minimum), Figures(devices=10, **figures))


@pytest.mark.parametrize("gate", [g for g in Gate if g is not Gate.INSTALL_SUCCESS])
def test_without_any_sample_every_gate_waits(gate):
    found = verdict(gate, 0.1)

    assert (found.answer, found.figure) == (Answer.WAIT, None)


@pytest.mark.parametrize(
    ("gate", "limit", "figures", "answer"),
    [
        (Gate.COUNT_DIFFERENCE, 0.05, {"agreed": 0, "only_old": 3}, Answer.WAIT),
        (Gate.COUNT_DIFFERENCE, 0.05, {"agreed": 2000, "only_old": 5, "only_new": 6}, Answer.PASS),
        (Gate.COUNT_DIFFERENCE, 0.05, {"agreed": 800, "only_old": 200}, Answer.FAIL),
        (Gate.COUNT_DIFFERENCE, 0.05, {"agreed": 1000, "only_new": 200}, Answer.FAIL),
        (Gate.COUNT_DIFFERENCE, 0.05, {"agreed": 96, "only_old": 4}, Answer.WAIT),
        (Gate.DISAGREEMENT, 0.05, {"agreed": 800, "only_old": 100, "only_new": 100}, Answer.FAIL),
        (Gate.CRASHES, 1.0, {"crashes": 0, "observed_s": 3.6e6 * 10}, Answer.PASS),
        (Gate.CRASHES, 1.0, {"crashes": 0, "observed_s": 3600.0}, Answer.WAIT),
        (Gate.CRASHES, 1.0, {"crashes": 9, "observed_s": 3.6e6}, Answer.FAIL),
        (Gate.LATENCY_P99, 100, {"new_ms": HISTOGRAM}, Answer.PASS),
        (Gate.LATENCY_P99, 35, {"new_ms": HISTOGRAM}, Answer.FAIL),
        (Gate.ALERT_PRECISION, 0.8, {"alerts_right": 100, "alerts_wrong": 100}, Answer.FAIL),
        (Gate.AUDITED_ACCURACY, 0.9, {"audit_agreed": 990, "audit_missed": 10}, Answer.PASS),
        (Gate.ESCAPE_RATE, 0.01, {"inspected": 1000, "escaped": 50}, Answer.FAIL),
        (Gate.INSTALL_SUCCESS, 0.9, {"succeeded": 5, "failed": 2}, Answer.FAIL),
    ],
)
def test_a_gate_answers_by_its_whole_interval(gate, limit, figures, answer):
    minimum = 1 if gate is Gate.INSTALL_SUCCESS else 100

    found = verdict(gate, limit, minimum, **figures)

    assert found.answer is answer
    assert str(found.sample) in found.explanation


def test_scores_that_moved_fail_and_scores_that_did_not_pass():
    old, same, moved = (0,) * 8 + (500, 500), (0,) * 8 + (510, 490), (500, 500) + (0,) * 8

    well = verdict(Gate.SCORE_DRIFT, 0.2, old_scores=old, new_scores=same)
    ill = verdict(Gate.SCORE_DRIFT, 0.2, old_scores=old, new_scores=moved)

    assert (well.answer, ill.answer) == (Answer.PASS, Answer.FAIL)


def test_devices_that_differ_among_each_other_widen_the_count_interval():
    # Ten devices of 100 crossings: five miss 20, five find 20 too many.
    clusters = Clusters(10, dd=10 * 400, db=0, bb=10 * 10_000, b=1000)
    counted = {"agreed": 900, "only_old": 100, "only_new": 100}

    alone = verdict(Gate.COUNT_DIFFERENCE, 0.05, **counted)
    together = verdict(Gate.COUNT_DIFFERENCE, 0.05, clusters=clusters, **counted)

    assert together.high - together.low > 2 * (alone.high - alone.low)


def test_every_further_look_asks_for_more_confidence():
    figures = Figures(devices=1, agreed=1000, only_old=70)
    rule = GateRule(Gate.COUNT_DIFFERENCE, 0.05, 100)

    widths = [judge(rule, figures, look=n).high - judge(rule, figures, look=n).low for n in (1, 5)]

    assert widths[0] < widths[1]


@settings(deadline=None)
@given(st.integers(1, 5000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), CONFIDENCE)
def test_a_share_is_scipys_wilson_interval(counts, confidence):
    part, whole = counts

    ours = intervals.share(part, whole, confidence)

    theirs = stats.binomtest(part, whole).proportion_ci(confidence, method="wilson")
    assert math.isclose(ours.low, theirs.low, abs_tol=1e-9)
    assert math.isclose(ours.high, theirs.high, abs_tol=1e-9)


@settings(deadline=None)
@given(st.integers(0, 2000), CONFIDENCE)
def test_a_rate_is_close_to_the_exact_poisson_interval(events, confidence):
    ours = intervals.rate(events, 1.0, confidence)

    tail = (1 - confidence) / 2
    low = stats.chi2.ppf(tail, 2 * events) / 2 if events else 0.0
    high = stats.chi2.ppf(1 - tail, 2 * events + 2) / 2
    assert math.isclose(ours.high, high, rel_tol=0.02)
    assert math.isclose(ours.low, low, rel_tol=0.02, abs_tol=0.05)


@settings(deadline=None)
@given(st.integers(1, 10**6), st.integers(0, 10**6), st.integers(0, 10**6), CONFIDENCE)
def test_the_figure_lies_in_its_interval(agreed, only_old, only_new, confidence):
    found = intervals.relative_difference(agreed, only_old, only_new, confidence)

    assert found.low <= found.figure <= found.high
