"""What people made of an alert: the ground of a rule's precision. It never says who."""

from __future__ import annotations

import uuid
from enum import StrEnum

from shopfloor_contracts.base import Seconds, Slug, Wire
from shopfloor_contracts.windows import Instant


class FeedbackAction(StrEnum):
    """What was done about an alert."""

    ACKNOWLEDGED = "acknowledged"
    """Somebody sees to it."""
    RESOLVED = "resolved"
    """It was so, and is seen to."""
    SNOOZED = "snoozed"
    WRONG = "wrong"
    """It was not so."""
    ESCALATED = "escalated"
    """Nobody acknowledged it in time: said by the device."""


class Verdict(StrEnum):
    """Whether the alert told the truth; the last one said of an alert counts."""

    RIGHT = "right"
    WRONG = "wrong"
    NONE = "none"
    """Not said."""


class FeedbackData(Wire):
    """One thing done about one alert."""

    alert_id: uuid.UUID
    rule: Slug
    metric: Slug
    about: Slug | None = None
    """The zone, line or slot; None for the camera."""
    action: FeedbackAction
    at: Instant
    after_s: Seconds
    """Since the alert was raised."""
    verdict: Verdict
    replaces: Verdict = Verdict.NONE
    """What was said of the alert before: with it, sums of verdicts stay right in any order."""
