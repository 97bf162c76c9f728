"""Figures of one stretch of a signal: how strong it is, how spiky, and at which frequencies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, get_window, hilbert, sosfiltfilt

Signal = NDArray[np.float64]
Band = tuple[float, float]
_ENVELOPE_ORDER = 4
_QUIET = 1e-3
"""A line that is not there at all, as a share of its neighbourhood: -30 dB."""


@dataclass(frozen=True, slots=True)
class Knocking:
    """Where to look for what strikes at a known rate: a bearing's balls, a gear's teeth."""

    band_hz: Band
    """In which the struck part rings; inside ``(0, rate_hz / 2)``."""
    rates_hz: tuple[float, ...]


def mean(signal: Signal) -> float:
    """Return the arithmetic mean, in the signal's unit."""
    return float(signal.mean())


def rms(signal: Signal) -> float:
    """Return ``√(mean((x - mean)²))``, in the signal's unit: a sensor's offset is no vibration."""
    return float(signal.std())


def crest(signal: Signal) -> float:
    """Return ``max|x - mean| / rms``, at least 1; 0 for a constant: √2 for a sine."""
    strength = rms(signal)
    return float(np.abs(signal - signal.mean()).max() / strength) if strength > 0 else 0.0


def kurtosis(signal: Signal) -> float:
    """Return ``mean((x - mean)⁴) / rms⁴``: 3 for noise, 1.5 for a sine, more for shocks.

    The biased estimate, not reduced by 3; 0 for a constant.
    """
    power = float(signal.var())
    return float(((signal - signal.mean()) ** 4).mean() / power**2) if power > 0 else 0.0


def band_rms(signal: Signal, rate_hz: float, bands: Sequence[Band]) -> list[float]:
    """Return the RMS in each half-open band ``[low, high)`` of hertz, in the signal's unit.

    One Hann-windowed periodogram, one-sided; the bands' squares add up to about ``rms²`` when
    they cover everything from above 0 to the Nyquist frequency.
    """
    frequencies, power = spectrum(signal, rate_hz)
    return [
        float(np.sqrt(power[(frequencies >= low) & (frequencies < high)].sum()))
        for low, high in bands
    ]


def spectrum(signal: Signal, rate_hz: float) -> tuple[Signal, Signal]:
    """Return frequencies in hertz and the power at each, in the signal's unit squared."""
    window = get_window("hann", len(signal))
    lines = np.fft.rfft((signal - signal.mean()) * window)
    power = np.abs(lines) ** 2 / (len(signal) * float((window**2).sum()))
    # Every line stands for its negative frequency too; 0 Hz and, of an even length, Nyquist don't.
    power[1 : (len(signal) + 1) // 2] *= 2
    frequencies: Signal = np.fft.rfftfreq(len(signal), 1 / rate_hz).astype(np.float64)
    return frequencies, power


def envelope(signal: Signal, rate_hz: float, band: Band) -> Signal:
    """Return how the vibration within ``band`` swells, sample by sample, in the signal's unit.

    A bearing's fault knocks at its own rate and rings much higher; the envelope's spectrum shows
    the knocking. ``band`` lies inside ``(0, rate_hz / 2)``.
    """
    sos = butter(_ENVELOPE_ORDER, band, btype="bandpass", fs=rate_hz, output="sos")
    swelling: Signal = np.abs(hilbert(sosfiltfilt(sos, signal - signal.mean())))
    return swelling


def knock_db(swelling: Signal, rate_hz: float, at_hz: float) -> float:
    """Return how far the strongest line within 2 % of ``at_hz`` stands out of its neighbourhood.

    In decibels over the median power from half to one and a half times ``at_hz``; 0 for a
    constant. Noise alone gives some 4 to 10, by the number of lines that the 2 % hold.
    """
    frequencies, power = spectrum(swelling, rate_hz)
    away = np.abs(frequencies - at_hz)
    # However short the stretch, one line is near.
    own = power[away <= max(0.02 * at_hz, float(away.min()))]
    floor = float(np.median(power[away <= 0.5 * at_hz])) if (away <= 0.5 * at_hz).any() else 0.0
    return float(10 * np.log10(max(own.max() / floor, _QUIET))) if floor > 0 else 0.0


_FIGURES = {"mean": mean, "rms": rms, "crest": crest, "kurtosis": kurtosis}


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which figures a stretch gives, in this order."""

    rate_hz: float
    names: Sequence[str] = ()
    bands: Sequence[Band] = ()
    knocking: Knocking | None = None


def figures_of(signal: Signal, wanted: Wanted) -> dict[str, float]:
    """Return the named figures, then band-1, band-2, …, then knock-1, … in decibels."""
    found = {name: _FIGURES[name](signal) for name in wanted.names}
    if wanted.bands:
        strengths = band_rms(signal, wanted.rate_hz, wanted.bands)
        found |= {f"band-{number}": value for number, value in enumerate(strengths, 1)}
    if wanted.knocking is not None:
        swelling = envelope(signal, wanted.rate_hz, wanted.knocking.band_hz)
        for number, at_hz in enumerate(wanted.knocking.rates_hz, 1):
            found[f"knock-{number}"] = knock_db(swelling, wanted.rate_hz, at_hz)
    return found
