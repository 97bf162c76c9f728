"""Sums of a sensor's figures over one report window."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

from shopfloor_contracts.aggregates import FigureSums, SensorData
from shopfloor_contracts.sensors import SensorSpec

State = Literal["learning", "normal", "drifting", "abrupt", "stuck", "silent"]
NO_BASELINE = "0" * 64
_TOP = 1e6
_DIGITS = 9
"""Significant digits that leave the device: more than a sensor has, at half of the bytes."""


@dataclass(slots=True)
class _Sums:
    count: int = 0
    total: float = 0.0
    squares: float = 0.0
    minimum: float = 0.0
    maximum: float = 0.0

    def add(self, value: float) -> None:
        self.minimum = min(self.minimum, value) if self.count else value
        self.maximum = max(self.maximum, value) if self.count else value
        self.count += 1
        self.total += value
        self.squares += value * value


@dataclass(slots=True)
class Report:
    """One window that is being filled."""

    start_s: float
    figures: dict[str, _Sums] = field(default_factory=dict)
    samples: int = 0
    covered_s: float = 0.0
    score: float = 0.0
    level: float = 0.0
    refused: int = 0

    def add(self, figures: Mapping[str, float], *, score: float, level: float) -> None:
        """Take the figures of one stretch."""
        for name, value in figures.items():
            self.figures.setdefault(name, _Sums()).add(value)
        self.score, self.level = max(self.score, score), max(self.level, level)

    def data(self, spec: SensorSpec, *, state: State, digest: str) -> SensorData:
        """Return the event."""
        return SensorData(
            window_start=datetime.fromtimestamp(self.start_s, UTC),
            window_s=spec.report_s,
            coverage_ratio=round(min(1.0, self.covered_s / spec.report_s), 6),
            frames=self.samples,
            model_digest=digest,
            zone_version=spec.version,
            sensor=spec.name,
            machine=spec.machine,
            quantity=spec.quantity,
            unit=spec.unit,
            figures=[
                FigureSums(
                    name=name,
                    count=sums.count,
                    total=_short(sums.total),
                    squares=_short(sums.squares),
                    minimum=_short(sums.minimum),
                    maximum=_short(sums.maximum),
                )
                for name, sums in self.figures.items()
            ],
            score_max=_short(min(self.score, _TOP)),
            level_max=_short(min(self.level, _TOP)),
            state=state,
            refused=min(self.refused, 10**9),
        )


def _short(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")
