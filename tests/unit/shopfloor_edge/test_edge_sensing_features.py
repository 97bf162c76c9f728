"""Figures of a vibration signal, against SciPy and against signals that are known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import signal as reference
from scipy import stats

from shopfloor_edge.sensing.features import (
    Knocking,
    Wanted,
    band_rms,
    crest,
    envelope,
    figures_of,
    knock_db,
    kurtosis,
    mean,
    rms,
    spectrum,
)


@dataclass(frozen=True, slots=True)
class Bearing:
    """Geometry of a rolling bearing; diameters in one unit, the contact angle in radians."""

    balls: int
    ball_diameter: float
    pitch_diameter: float
    contact_rad: float = 0.0

    def outer_race_hz(self, shaft_hz: float) -> float:
        """Return how often a ball passes one spot of the outer race (BPFO).

        ``n/2 · f · (1 - d/D · cos φ)``; source: Randall, Antoni: Rolling element bearing
        diagnostics, a tutorial (Mechanical Systems and Signal Processing 25, 2011).
        """
        return self.balls / 2 * shaft_hz * (1 - self._share)

    def inner_race_hz(self, shaft_hz: float) -> float:
        """Return how often a ball passes one spot of the inner race: ``n/2 · f · (1 + …)``."""
        return self.balls / 2 * shaft_hz * (1 + self._share)

    @property
    def _share(self) -> float:
        return self.ball_diameter / self.pitch_diameter * float(np.cos(self.contact_rad))


RATE_HZ = 12_000.0
SHAFT_HZ = 29.95
BEARING = Bearing(balls=9, ball_diameter=7.94, pitch_diameter=39.04)
"""A 6205-2RS, as on the motor of a well-known test rig."""


SHOCKS = Wanted(RATE_HZ, ("rms", "crest", "kurtosis"))


def noise(seconds=1.0, seed=1):
    return np.random.default_rng(seed).standard_normal(int(RATE_HZ * seconds))


def faulty(strength, seed=1, seconds=1.0):
    """Noise, and a ringing at 3 kHz that is struck once per ball over a spot of the outer race."""
    time = np.arange(int(RATE_HZ * seconds)) / RATE_HZ
    since_knock = np.mod(time, 1 / BEARING.outer_race_hz(SHAFT_HZ))
    ringing = np.exp(-since_knock / 1e-3) * np.sin(2 * np.pi * 3000 * since_knock)
    return noise(seconds, seed) + strength * ringing


def test_a_sine_has_the_figures_of_a_sine_whatever_its_offset():
    time = np.arange(12_000) / RATE_HZ
    sine = 5.0 + 2.0 * np.sin(2 * np.pi * 100 * time)

    assert mean(sine) == pytest.approx(5.0)
    assert rms(sine) == pytest.approx(2.0 / np.sqrt(2))
    assert crest(sine) == pytest.approx(np.sqrt(2), rel=1e-3)
    assert kurtosis(sine) == pytest.approx(1.5)


@given(st.integers(0, 2**32 - 1), st.integers(16, 4000), st.floats(-1e6, 1e6))
def test_kurtosis_and_rms_are_those_of_scipy(seed, size, offset):
    values = np.random.default_rng(seed).gamma(1.5, 2.0, size) + offset

    assert kurtosis(values) == pytest.approx(
        stats.kurtosis(values, fisher=False, bias=True), rel=1e-6
    )
    assert rms(values) == pytest.approx(stats.tstd(values) * np.sqrt(1 - 1 / size), rel=1e-9)


@pytest.mark.parametrize("size", [1024, 1025])
def test_the_spectrum_is_that_of_scipys_periodogram(size):
    values = noise()[:size]

    frequencies, power = spectrum(values, RATE_HZ)

    expected_hz, density = reference.periodogram(values, RATE_HZ, window="hann", detrend="constant")
    np.testing.assert_allclose(frequencies, expected_hz)
    np.testing.assert_allclose(power, density * RATE_HZ / size, rtol=1e-9, atol=1e-18)


def test_bands_that_cover_everything_add_up_to_the_whole():
    values = noise(4.0)

    bands = band_rms(values, RATE_HZ, [(0, 500), (500, 3000), (3000, 6001)])

    assert np.sqrt(np.sum(np.square(bands))) == pytest.approx(rms(values), rel=0.02)


def test_a_tone_is_in_its_band_only():
    time = np.arange(12_000) / RATE_HZ
    tone = 3.0 * np.sin(2 * np.pi * 700 * time)

    low, own, high = band_rms(tone, RATE_HZ, [(1, 600), (600, 800), (800, 6000)])

    assert own == pytest.approx(3.0 / np.sqrt(2), rel=1e-3)
    assert max(low, high) < 1e-3


def test_the_rates_of_a_bearing_are_those_that_its_maker_gives():
    # 6205-2RS, times the shaft's speed: outer race 3.5848, inner race 5.4152.
    assert BEARING.outer_race_hz(1.0) == pytest.approx(3.5848, abs=2e-3)
    assert BEARING.inner_race_hz(1.0) == pytest.approx(5.4152, abs=2e-3)


def test_the_envelope_shows_the_rate_at_which_a_bad_bearing_knocks():
    outer_hz = BEARING.outer_race_hz(SHAFT_HZ)

    bad = knock_db(envelope(faulty(3.0), RATE_HZ, (2000, 4000)), RATE_HZ, outer_hz)
    good = knock_db(envelope(noise(), RATE_HZ, (2000, 4000)), RATE_HZ, outer_hz)
    raw = knock_db(faulty(3.0), RATE_HZ, outer_hz)

    assert bad > good + 15
    assert bad > raw + 15


def test_a_bearing_knocks_at_its_own_rate_and_not_at_its_other():
    rates = (BEARING.outer_race_hz(SHAFT_HZ), BEARING.inner_race_hz(SHAFT_HZ))
    wanted = Wanted(RATE_HZ, knocking=Knocking((2000, 4000), rates))

    found = figures_of(faulty(3.0), wanted)

    assert list(found) == ["knock-1", "knock-2"]
    assert found["knock-1"] > found["knock-2"] + 10


def test_shocks_raise_crest_and_kurtosis_long_before_the_rms():
    good = figures_of(noise(), SHOCKS)
    bad = figures_of(faulty(5.0), SHOCKS)

    assert bad["kurtosis"] > 1.3 * good["kurtosis"]
    assert bad["rms"] < 1.4 * good["rms"]


def test_a_constant_has_no_crest_and_no_kurtosis():
    flat = np.full(100, 7.0)

    wanted = Wanted(
        10.0, ("mean", "rms", "crest", "kurtosis"), [(1, 5)], Knocking((1.0, 4.0), (2.0,))
    )

    figures = figures_of(flat, wanted)

    assert figures.pop("mean") == 7.0
    assert list(figures.values()) == [0.0] * 5
