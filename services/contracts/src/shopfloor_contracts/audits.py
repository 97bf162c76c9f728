"""Measured accuracy: what people saw in sampled clips beside what the device had counted there.

No picture and no name: counts of one line, zone or slot. Results of several audits merge: sums
add, and shares are weighted by ``effective``.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, model_validator

from shopfloor_contracts.base import Count, Digest, Ratio, Slug, Wire
from shopfloor_contracts.windows import Instant


class SubjectSort(StrEnum):
    """What sort of thing was audited."""

    LINE = "line"
    ZONE = "zone"
    SLOT = "slot"


class SamplingDesign(Wire):
    """How the clips were chosen, before anybody knew what was counted in them."""

    method: Slug
    """Of the estimate; ``stratified-ratio-wilson``."""
    planned: Count
    """Positions drawn in the days of the clips, and already past."""
    kept: Count
    """Of them, those that became clips: the others fell on a camera that gave no picture."""
    eligible: Count
    """Kept under this model and drawing, not audited before."""
    strata: Count
    seed: Count
    """Of the draw of the set."""


class AuditData(Wire):
    """One audit of one line, zone or slot of one camera under one model and drawing."""

    sort: SubjectSort
    subject: Slug
    clips: Count
    agreed: Count
    """Crossings, people or states that device and person agree on."""
    missed: Count
    """By the device."""
    false: Count
    """Counted by the device, not there."""
    accuracy: Ratio | None = None
    """Weighted share of ``agreed``; None where the clips held nothing to count."""
    low: Ratio
    high: Ratio
    """Interval of 95 %."""
    effective: Annotated[float, Field(ge=0, le=1e9)]
    """Size of an independent sample that would be as sure."""
    counted_ratio: Annotated[float, Field(ge=0, le=1e6)] | None = None
    """All counted over all seen: errors cancel out."""
    first_at: Instant
    """Begin of the first clip."""
    last_at: Instant
    """End of the last."""
    at: Instant
    """When the last answer was given."""
    model_digest: Digest
    zone_version: Annotated[str, Field(pattern=r"^[0-9a-f]{12}$")]
    backend: Slug | None = None
    precision: Literal["fp32", "fp16", "int8", "none"] | None = None
    design: SamplingDesign

    @model_validator(mode="after")
    def _interval_holds_the_accuracy(self) -> AuditData:
        if not self.low <= (self.low if self.accuracy is None else self.accuracy) <= self.high:
            raise ValueError(
                f"accuracy is {self.accuracy}, expected {self.low} to {self.high}, its interval"
            )
        return self
