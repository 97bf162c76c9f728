"""Heat over several windows as one event: a grid says little of a minute, and takes most bytes."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from shopfloor_contracts.aggregates import HeatData
from shopfloor_contracts.events import EventData

_BASIS = ("model_digest", "zone_version", "backend", "precision", "degraded")


class HeatPeriods:
    """Adds up one camera's heat until ``period_s`` is full; everything else passes at once.

    A period ends at multiples of ``period_s`` since the epoch, and before a window that does not
    follow on, or that rests on another model or drawing. A process that is killed loses the
    heat of its open period, as it loses an open window.
    """

    def __init__(self, period_s: float) -> None:
        self._period_s = period_s
        self._open: HeatData | None = None

    def take(self, events: Iterable[EventData]) -> list[EventData]:
        """Return the events with heat held back, and heat of periods that ended."""
        found: list[EventData] = []
        for data in events:
            if isinstance(data, HeatData) and self._period_s > 0:
                found += self._add(data)
            else:
                found.append(data)
        return found

    def close(self) -> list[EventData]:
        """Return the heat of the open period."""
        held, self._open = self._open, None
        return [] if held is None else [held]

    def _add(self, data: HeatData) -> list[EventData]:
        ended = [] if self._open is None or _follows(self._open, data) else self.close()
        self._open = data if self._open is None else _merged(self._open, data)
        end_s = _end_s(self._open)
        started_s = self._open.window_start.timestamp()
        if end_s // self._period_s > started_s // self._period_s:
            ended += self.close()
        return ended


def _end_s(data: HeatData) -> float:
    # A microsecond on: 0.1 s windows add up to a little less than their period.
    return (data.window_start + timedelta(seconds=data.window_s, microseconds=1)).timestamp()


def _follows(one: HeatData, other: HeatData) -> bool:
    gap_s = abs(_end_s(one) - other.window_start.timestamp())
    return gap_s < 0.001 and all(getattr(one, name) == getattr(other, name) for name in _BASIS)


def _merged(one: HeatData, other: HeatData) -> HeatData:
    window_s = one.window_s + other.window_s
    covered_s = one.coverage_ratio * one.window_s + other.coverage_ratio * other.window_s
    cells = zip(one.cells_s, other.cells_s, strict=True)
    return one.model_copy(
        update={
            "window_s": window_s,
            "coverage_ratio": round(min(1.0, covered_s / window_s), 4),
            "frames": one.frames + other.frames,
            "observed_s": round(one.observed_s + other.observed_s, 3),
            "people_s": round(one.people_s + other.people_s, 3),
            "cells_s": [
                [round(a + b, 1) for a, b in zip(row, more, strict=True)] for row, more in cells
            ],
        }
    )
