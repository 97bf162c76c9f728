"""Aggregates of zones, slots and the floor. They merge: sums add, maxima take the larger.

A visit counts as an entry in the window where it began and with its length in the window where
it ended, so that windows never count one twice.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, model_validator

from shopfloor_contracts.base import Count, Seconds, Slug, Wire, refuse_twins
from shopfloor_contracts.windows import Window

DWELL_EDGES_S = (5, 15, 30, 60, 120, 300, 600)
"""Histogram buckets of visits and of waits, by their seconds: below 5, 5–15, … 600 and more."""
QUEUE_EDGES = (1, 2, 3, 4, 6, 8, 12)
"""Histogram buckets of queue length: 0, 1, 2, 3, 4–5, 6–7, 8–11, 12 and more people."""
HEAT_COLUMNS, HEAT_ROWS = 32, 18

_VisitBuckets = Annotated[list[Count], Field(min_length=8, max_length=8)]
_TimeBuckets = Annotated[list[Seconds], Field(min_length=8, max_length=8)]
_HeatRow = Annotated[list[Seconds], Field(min_length=HEAT_COLUMNS, max_length=HEAT_COLUMNS)]


class ZoneDwell(Wire):
    """Visits to one zone."""

    zone: Slug
    observed_s: Seconds
    entries: Count
    """Visits that began in this window."""
    exits: Count
    """Visits that ended in this window: those of which the sums below are made."""
    lost: Count
    """Of ``exits``, those whose person was lost from sight inside: their length is a least one."""
    dwell_s: Seconds
    dwell_max_s: Seconds
    histogram: _VisitBuckets
    """Visits per bucket of ``DWELL_EDGES_S``; they add up to ``exits``."""


class DwellData(Window):
    """Visits to every dwell zone of one camera in one window."""

    zones: Annotated[list[ZoneDwell], Field(min_length=1, max_length=64)]

    @model_validator(mode="after")
    def _zones_are_unique(self) -> DwellData:
        refuse_twins("zone", [zone.zone for zone in self.zones])
        return self


class ZoneQueue(Wire):
    """One queue.

    Little's law checks the sums against each other: over a long stretch ``people_s`` and
    ``wait_s`` are the same, because L = λW.
    """

    zone: Slug
    observed_s: Seconds
    people_s: Seconds
    """Integral of the queue's length over observed time."""
    people_max: Count
    length_histogram_s: _TimeBuckets
    """Observed seconds per bucket of ``QUEUE_EDGES``."""
    joined: Count
    """People who came into the queue in this window."""
    served: Count
    """People who left it in this window, served or not."""
    lost: Count
    """Of ``served``, those who were lost from sight: their wait is a least one."""
    wait_s: Seconds
    wait_max_s: Seconds
    wait_histogram: _VisitBuckets
    """``served`` per bucket of ``DWELL_EDGES_S``."""


class QueueData(Window):
    """Every queue of one camera in one window."""

    zones: Annotated[list[ZoneQueue], Field(min_length=1, max_length=64)]

    @model_validator(mode="after")
    def _zones_are_unique(self) -> QueueData:
        refuse_twins("zone", [zone.zone for zone in self.zones])
        return self


class HeatData(Window):
    """Where people stood: person-seconds per cell of a fixed grid over the picture."""

    observed_s: Seconds
    people_s: Seconds
    """Sum over the grid."""
    cells_s: Annotated[list[_HeatRow], Field(min_length=HEAT_ROWS, max_length=HEAT_ROWS)]
    """Rows from the top, columns from the left; of foot points, in steps of 0.1 s."""


class SlotState(StrEnum):
    """What a slot holds, beside what it should."""

    CORRECT = "correct"
    EMPTY = "empty"
    WRONG = "wrong"
    UNKNOWN = "unknown"


class SlotFigures(Wire):
    """One slot of a shelf against its planogram. Seconds of the four states add up."""

    slot: Slug
    state: SlotState
    """At the end of the window."""
    correct_s: Seconds
    empty_s: Seconds
    wrong_s: Seconds
    unknown_s: Seconds
    """Observed, but not yet decided."""
    hidden_s: Seconds
    """Of the time observed, that in which a hand or a person was in front: the state held on."""
    removals: Count
    returns: Count


class ShelfData(Window):
    """Every slot of one camera in one window."""

    slots: Annotated[list[SlotFigures], Field(min_length=1, max_length=64)]

    @model_validator(mode="after")
    def _slots_are_unique(self) -> ShelfData:
        refuse_twins("slot", [slot.slot for slot in self.slots])
        return self


class DefectCount(Wire):
    """One class of defects, or one reason for doubt, of one station in one window."""

    name: Slug
    parts: Count
    """Parts that have it, once each."""
    places: Count = 0
    """Places on them; 0 where a reason has no place."""


LATENCY_EDGES_MS = (5, 10, 20, 35, 50, 75, 100, 250)
"""Histogram buckets from trigger to verdict: below 5 ms, 5–10, … 250 and more."""


class InspectionData(Window):
    """Verdicts of one station in one window. ``frames`` are the pictures that were judged.

    ``model_digest`` names the judge with its reference or network; ``zone_version`` the recipe.
    """

    station: Slug
    passed: Count
    failed: Count
    reviewed: Count
    missed: Count = 0
    """Triggers without a verdict: no picture came, or it came too late to reject the part."""
    escapes: Count = 0
    """Parts that a person found bad although they had passed; counted when that was said."""
    false_rejects: Count = 0
    """Parts that a person found good although they had failed."""
    confirmed: Count = 0
    """Verdicts that a person looked at and agreed with."""
    defects: Annotated[list[DefectCount], Field(max_length=64)] = Field(default_factory=list)
    doubts: Annotated[list[DefectCount], Field(max_length=32)] = Field(default_factory=list)
    latency_histogram: Annotated[list[Count], Field(min_length=9, max_length=9)]
    """Parts per bucket of ``LATENCY_EDGES_MS``."""
    line: Literal["running", "alerted", "stopped"]
    """At the end of the window."""
    stops: Count = 0
    """How often the line was stopped by its charts."""

    @model_validator(mode="after")
    def _names_are_unique(self) -> InspectionData:
        refuse_twins("defect", [count.name for count in self.defects])
        refuse_twins("doubt", [count.name for count in self.doubts])
        return self

    @property
    def parts(self) -> int:
        """Parts that were judged: each is passed, failed or left to people."""
        return self.passed + self.failed + self.reviewed


_Figure = Annotated[float, Field(ge=-1e12, le=1e12)]
_Square = Annotated[float, Field(ge=0, le=1e24)]


class FigureSums(Wire):
    """One figure of a sensor's stretches, as sums. In the sensor's unit, or without one.

    Mergeable: counts, totals and squares add; mean and spread follow from them.
    """

    name: Slug
    """mean, rms, crest, kurtosis, band-1, …, knock-1, … (decibels), as the sensor file has them."""
    count: Count
    total: _Figure
    squares: _Square
    """Sum of squares."""
    minimum: _Figure
    maximum: _Figure


class SensorData(Window):
    """What one sensor of a machine said in one window. ``frames`` are the samples taken.

    ``model_digest`` names the healthy baseline (zeros while it is being learnt),
    ``zone_version`` the sensor's configuration.
    """

    sensor: Slug
    machine: Slug
    quantity: Literal["vibration", "temperature", "current", "pressure", "other"]
    unit: Annotated[str, Field(max_length=16)]
    figures: Annotated[list[FigureSums], Field(max_length=32)]
    """Empty where not one stretch was whole."""
    score_max: Annotated[float, Field(ge=0, le=1e6)] = 0.0
    """Largest step that was not foretold, in standard deviations of a healthy machine's."""
    level_max: Annotated[float, Field(ge=0, le=1e6)] = 0.0
    """Highest chart as a share of its limit; from 1 on it signals."""
    state: Literal["learning", "normal", "drifting", "abrupt", "stuck", "silent"]
    """At the end of the window."""
    refused: Count = 0
    """Samples that were no finite number, or not later than the one before."""

    @model_validator(mode="after")
    def _figures_are_unique(self) -> SensorData:
        refuse_twins("figure", [figure.name for figure in self.figures])
        return self
