"""What a device reports of an update on trial, for the gates between a campaign's waves.

Everything adds up: a gate sums the reports of a wave's devices. A report is sent to
``POST /{tenant}/controller/v1/{device}/deploymentBase/{action}/evidence``, and again until it is
answered; ``(action, seq)`` names it, so that it counts once.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from shopfloor_contracts.base import Count, Digest, Seconds, Slug, Wire
from shopfloor_contracts.windows import Instant, ShortText


class Phase(StrEnum):
    """Where an update is on the device."""

    SELF_TEST = "self-test"
    """On the bundle's golden frames, in a process of its own."""
    SHADOW = "shadow"
    """Beside the active model, on the same frames; only the active one counts."""
    TRIAL = "trial"
    """Active, and not yet good."""
    COMMITTED = "committed"
    ROLLED_BACK = "rolled-back"


class SelfTest(Wire):
    """The golden frames on this device."""

    passed: bool
    frames: Count
    detail: ShortText = ""
    """The worst difference, or why it could not be run."""


class CountPair(Wire):
    """Crossings of one line that two models counted on the same frames.

    Two crossings agree when they have the same direction and are at most 1.5 s apart, one to one.
    """

    camera: Slug
    line: Slug
    agreed: Count = 0
    only_old: Count = 0
    only_new: Count = 0


class PresencePair(Wire):
    """Head counts of one camera's frames by two models: sums over frames."""

    camera: Slug
    frames: Count = 0
    people_old: Count = 0
    people_new: Count = 0
    differing: Count = 0
    """Frames in which the two head counts differ."""


class ModelFigures(Wire):
    """How one model ran."""

    frames: Count = 0
    inference_histogram: Annotated[list[Count], Field(min_length=9, max_length=9)] | None = None
    """Frames per bucket of ``INFERENCE_EDGES_MS``."""
    score_histogram: Annotated[list[Count], Field(min_length=10, max_length=10)] | None = None
    """Detections per 0.1 of score."""


class Evidence(Wire):
    """One report. The figures are those since the report before, not totals."""

    seq: Count
    """From 1 for each action, without gaps."""
    phase: Phase
    digest: Digest
    """Of the update's archive."""
    base: Digest | None = None
    """Of the archive that it replaces."""
    began_at: Instant
    ended_at: Instant
    observed_s: Seconds = 0.0
    """In which frames were inferred; summed over cameras."""
    crashes: Count = 0
    self_test: SelfTest | None = None
    counts: Annotated[list[CountPair], Field(max_length=1000)] = Field(default_factory=list)
    presence: Annotated[list[PresencePair], Field(max_length=64)] = Field(default_factory=list)
    old: ModelFigures | None = None
    new: ModelFigures | None = None
    alerts_right: Count = 0
    """Of the alerts raised in the trial, those of which staff said that they were right."""
    alerts_wrong: Count = 0
    audit_agreed: Count = 0
    """Of what the new model counted, what people who audited saw too."""
    audit_missed: Count = 0
    """What they saw and it did not count."""
    audit_false: Count = 0
    """What it counted and they did not see."""
    detail: ShortText = ""
