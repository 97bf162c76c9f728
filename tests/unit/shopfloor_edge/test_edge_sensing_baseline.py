"""A healthy level is learnt from values that resemble their neighbours."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.signal import lfilter

from shopfloor_edge.sensing.baseline import MIN_VALUES, learn


def wandering(phi, size, *, seed=3, level=60.0, spread=2.0):
    """An AR(1) with a standard deviation of ``spread`` around ``level``."""
    steps = np.random.default_rng(seed).standard_normal(size + 500) * np.sqrt(1 - phi**2)
    return level + spread * lfilter([1], [1, -phi], steps)[500:]


@pytest.mark.parametrize("phi", [0.0, 0.5, 0.9])
def test_level_spread_and_resemblance_are_found(phi):
    baseline = learn(wandering(phi, 8000))

    assert baseline.centre == pytest.approx(60.0, abs=0.3)
    assert baseline.spread == pytest.approx(2.0, rel=0.1)
    assert baseline.phi == pytest.approx(phi, abs=0.04)


@pytest.mark.parametrize("phi", [0.0, 0.5, 0.9])
def test_what_the_predecessor_did_not_foretell_is_independent_with_a_deviation_of_one(phi):
    baseline = learn(wandering(phi, 8000))
    fresh = wandering(phi, 8000, seed=4)

    surprises = [baseline.surprise(v, b) for b, v in itertools.pairwise(fresh)]

    assert np.std(surprises) == pytest.approx(1.0, rel=0.08)
    assert abs(np.corrcoef(surprises[1:], surprises[:-1])[0, 1]) < 0.06


@pytest.mark.parametrize("phi", [0.0, 0.7, 0.9])
def test_an_ewma_of_levels_spreads_as_that_of_independent_values(phi):
    weight, fresh = 0.05, wandering(phi, 60_000, seed=5)
    baseline = learn(wandering(phi, 20_000))

    levels = [baseline.level(value, weight) for value in fresh]
    means = lfilter([weight], [1, weight - 1], levels)[500:]

    assert np.std(means) == pytest.approx(np.sqrt(weight / (2 - weight)), rel=0.15)


def test_some_shocks_while_learning_do_not_widen_the_scale():
    values = wandering(0.5, 2000)
    values[::50] += 40.0

    baseline = learn(values)

    assert baseline.centre == pytest.approx(60.0, abs=0.4)
    assert baseline.spread < 3.0


def test_after_a_gap_a_value_is_compared_with_the_level():
    baseline = learn(wandering(0.9, 4000))

    assert baseline.surprise(60.0 + 4.0, None) == pytest.approx(2.0, rel=0.2)


def test_a_figure_that_never_moved_has_some_tolerance():
    baseline = learn([5.0] * MIN_VALUES)

    assert abs(baseline.surprise(5.0, 5.0)) == 0.0
    assert np.isfinite(baseline.surprise(6.0, 5.0))
    assert baseline.surprise(6.0, 5.0) > 100


def test_too_few_values_are_refused():
    with pytest.raises(ValueError, match="29 values, expected 30"):
        learn([1.0] * (MIN_VALUES - 1))


def test_a_level_follows_no_faster_than_it_may():
    baseline = learn(wandering(0.0, 2000))

    moved = baseline.moved(1e6, 0.1, 4.0)

    assert moved.centre == pytest.approx(baseline.centre + 0.1 * 4.0 * baseline.spread)
