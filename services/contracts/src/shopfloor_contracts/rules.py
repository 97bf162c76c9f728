"""Alert rules of the site file: which figure, which limit, for how long, and when to be quiet."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, model_validator

from shopfloor_contracts.base import Operator, Slug


class Metric(StrEnum):
    """Figures that a rule can watch."""

    PEOPLE = "people"
    """People in a zone now."""
    QUEUE_LENGTH = "queue-length"
    QUEUE_WAIT = "queue-wait"
    """Seconds that the one who has waited longest has waited."""
    LOITERING = "loitering"
    """Seconds that one person has been in a zone; once per person."""
    RESTRICTED = "restricted"
    """A person in a zone where none should be; once per person."""
    WRONG_WAY = "wrong-way"
    """A person over a line in ``direction``, or through a zone against ``heading``."""
    SLOT_EMPTY = "slot-empty"
    SLOT_WRONG = "slot-wrong"
    COMPLIANCE = "compliance"
    """Share of a camera's slots that hold what they should."""
    CAMERA = "camera"
    """A camera that is not live, or whose picture is of no use: covered, out of focus, moved."""


class Severity(StrEnum):
    """Who should look, and how soon."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


NEEDS_ANALYTIC = {
    Metric.PEOPLE: "occupancy",
    Metric.QUEUE_LENGTH: "queue",
    Metric.QUEUE_WAIT: "queue",
    Metric.LOITERING: "dwell",
}
"""Metrics of a zone that are there only when the zone computes them."""
_OF_ZONES = {*NEEDS_ANALYTIC, Metric.RESTRICTED, Metric.WRONG_WAY}
_OF_SLOTS = {Metric.SLOT_EMPTY, Metric.SLOT_WRONG}
_LIMITS = {
    Metric.PEOPLE: "above",
    Metric.QUEUE_LENGTH: "above",
    Metric.QUEUE_WAIT: "above",
    Metric.LOITERING: "above",
    Metric.COMPLIANCE: "below",
}
_Limit = Annotated[float, Field(ge=0, le=1e6)]
_TimeOfDay = Annotated[str, Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]
_Share = Annotated[float, Field(ge=-1.0, le=1.0)]


class QuietHours(Operator):
    """A stretch of each day in the site's time zone; it may go over midnight."""

    start: _TimeOfDay
    end: _TimeOfDay

    @model_validator(mode="after")
    def _has_length(self) -> QuietHours:
        if self.start == self.end:
            raise ValueError(f"quiet hours start and end at {self.start}")
        return self


class RuleSpec(Operator):
    """One alert rule on one camera's zone, line, slot, or on the camera itself."""

    name: Slug
    camera: Slug
    metric: Metric
    zone: Slug | None = None
    line: Slug | None = None
    slot: Slug | None = None
    above: _Limit | None = None
    below: _Limit | None = None
    clear: _Limit | None = None
    """The alert clears when the figure is back at this; by default at the limit itself."""
    direction: Literal["in", "out"] | None = None
    """The forbidden direction over ``line``."""
    heading: tuple[_Share, _Share] | None = None
    """The allowed way through ``zone``: x to the right, y down."""
    for_s: Annotated[float, Field(ge=0, le=86_400)] = 0.0
    cooldown_s: Annotated[float, Field(ge=0, le=86_400)] = 300.0
    severity: Severity = Severity.WARNING
    quiet: Annotated[list[QuietHours], Field(max_length=8)] = Field(default_factory=list)

    @property
    def about(self) -> str | None:
        """Name of the zone, line or slot; None when the rule is about the camera."""
        return self.zone or self.line or self.slot

    @model_validator(mode="after")
    def _is_complete(self) -> RuleSpec:
        for problem in (self._place_problem(), self._limit_problem(), self._way_problem()):
            if problem:
                raise ValueError(f"rule {self.name!r}: {problem}")
        return self

    def _place_problem(self) -> str | None:
        given = {key for key in ("zone", "line", "slot") if getattr(self, key) is not None}
        if self.metric is Metric.WRONG_WAY:
            wanted = [{"zone"}, {"line"}]
        elif self.metric in _OF_ZONES:
            wanted = [{"zone"}]
        else:
            wanted = [{"slot"}] if self.metric in _OF_SLOTS else [set()]
        if given in wanted:
            return None
        needs = " or ".join(" and ".join(keys) or "no zone, line or slot" for keys in wanted)
        return f"metric {self.metric} wants {needs}, found {', '.join(sorted(given)) or 'none'}"

    def _limit_problem(self) -> str | None:
        wanted = _LIMITS.get(self.metric)
        given = [key for key in ("above", "below") if getattr(self, key) is not None]
        if given != ([wanted] if wanted else []):
            found = " and ".join(given) or "none"
            return f"metric {self.metric} wants {wanted or 'no limit'}, found {found}"
        if self.clear is None:
            return None
        if self.above is not None and self.clear <= self.above:
            return None
        if self.below is not None and self.clear >= self.below:
            return None
        return f"clear is {self.clear:g}, which is not on the good side of the limit"

    def _way_problem(self) -> str | None:
        if (self.direction is not None) != (self.line is not None):
            return "direction and line belong together"
        through_zone = self.metric is Metric.WRONG_WAY and self.zone is not None
        if (self.heading is not None) != through_zone:
            return "heading belongs to metric wrong-way on a zone"
        if self.heading is not None and max(map(abs, self.heading)) < 0.01:
            return "heading has no length"
        return None


class AlertsSpec(Operator):
    """How much the device may say."""

    budget_per_hour: Annotated[int, Field(ge=1, le=1000)] = 30
    """All rules together; what is over it is counted, not sent."""
    cameras: bool = True
    """Whether a camera without a ``camera`` rule of its own has one: after 30 s, a warning."""
    noisy_per_hour: Annotated[int, Field(ge=2, le=1000)] = 6
    """A rule that fires more often is reported as noisy, once an hour."""
