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


def line_ratio(signal: Signal, rate_hz: float, at_hz: float) -> float:
    """Return how far the strongest line within 2 % of ``at_hz`` stands out: peak over median."""
    frequencies, power = spectrum(signal, rate_hz)
    near = np.abs(frequencies - at_hz) <= max(0.02 * at_hz, rate_hz / len(signal))
    floor = float(np.median(power[1:]))
    return float(power[near].max() / floor) if floor > 0 else 0.0


_FIGURES = {"mean": mean, "rms": rms, "crest": crest, "kurtosis": kurtosis}


def figures_of(
    signal: Signal, *, rate_hz: float, names: Sequence[str], bands: Sequence[Band]
) -> dict[str, float]:
    """Return the named figures, and band-1, band-2, … in the order of ``bands``."""
    found = {name: _FIGURES[name](signal) for name in names}
    if bands:
        strengths = band_rms(signal, rate_hz, bands)
        found |= {f"band-{number}": value for number, value in enumerate(strengths, 1)}
    return found
