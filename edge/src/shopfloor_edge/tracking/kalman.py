"""Constant velocity of a box's centre, for many tracks at once.

A Kalman filter like SORT's (Bewley et al., ICIP 2016), with two differences. Noise is stated in
heights of the box and is equal for its four edges, so they share one gain, and three numbers per
track stand where an 8 x 8 covariance stood. Time is in seconds, not in frames: a gap of any
length is one step.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]

BOX = slice(0, 4)
"""Rows of a state: x1, y1, x2, y2 in pixels."""
VELOCITY = slice(4, 6)
"""Of the centre, in pixels per second."""
COVARIANCE = slice(6, 9)
"""Variance of an edge, its covariance with the velocity, variance of the velocity; in squared
heights of the box, per second and per squared second."""
ROWS = 9


@dataclass(frozen=True, slots=True)
class Noise:
    """Standard deviations in heights of the box: a person's are alike near and far."""

    measured: float = 0.05
    """Of an edge that the detector finds."""
    acceleration: float = 0.3
    """Of the velocity, per second, per square root of a second."""
    velocity_at_first: float = 1.0
    """Of a new track's velocity, per second: people walk at about 0.8."""


class ConstantVelocity:
    """Predicts and corrects states, ``(ROWS, T)``: one column per track, in place."""

    def __init__(self, noise: Noise) -> None:
        self._noise = noise
        self._step_s = -1.0
        self._step: F64 = np.eye(ROWS)
        self._growth: F64 = np.zeros((ROWS, 1))

    def begin(self, states: F64, boxes: F64) -> None:
        """Set the states of tracks first seen at ``(4, T)`` boxes; all else is zero before."""
        states[BOX] = boxes
        states[6] = self._noise.measured**2
        states[8] = self._noise.velocity_at_first**2

    def predict(self, states: F64, step_s: float) -> None:
        """Advance by ``step_s`` seconds, at least 0."""
        if step_s != self._step_s:
            self._prepare(step_s)
        states[:] = self._step @ states + self._growth

    def correct(self, states: F64, boxes: F64) -> None:
        """Take in ``(4, T)`` measured boxes, one per column."""
        total = states[6] + self._noise.measured**2
        gain, gain_velocity = states[6] / total, states[7] / total
        off = boxes - states[BOX]
        states[BOX] += gain * off
        states[VELOCITY] += (0.5 * gain_velocity) * (off[:2] + off[2:])
        states[8] -= gain_velocity * states[7]
        states[6:8] *= 1.0 - gain

    def _prepare(self, step_s: float) -> None:
        """Write transition and added variance: mean and covariance are linear in the state."""
        step, growth, t = np.eye(ROWS), np.zeros((ROWS, 1)), step_s
        step[0, 4] = step[2, 4] = step[1, 5] = step[3, 5] = t
        step[6, 7], step[6, 8], step[7, 8] = 2 * t, t * t, t
        # White noise of acceleration, integrated over the step.
        jolt = self._noise.acceleration**2
        growth[COVARIANCE, 0] = jolt * t**3 / 3, jolt * t**2 / 2, jolt * t
        self._step, self._growth, self._step_s = step, growth, step_s
