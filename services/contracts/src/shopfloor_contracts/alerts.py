"""Alerts: a rule of the site file that became true, or stopped being true."""

from __future__ import annotations

import uuid
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from shopfloor_contracts.base import Count, Slug, Wire
from shopfloor_contracts.rules import Severity
from shopfloor_contracts.windows import Instant, ShortText


class AlertState(StrEnum):
    """What an alert says about its rule."""

    RAISED = "raised"
    CLEARED = "cleared"
    NOISY = "noisy"
    """The rule fires so often that its limits want to be looked at."""


_Value = Annotated[float, Field(ge=-1e9, le=1e9)]


class AlertData(Wire):
    """One message about one rule. Losing one is made up for by nothing, so it is durable."""

    alert_id: uuid.UUID
    """The same from raised to cleared."""
    rule: Slug
    metric: Slug
    """One of ``rules.Metric``; a reader takes the metrics of newer devices too."""
    about: Slug | None = None
    """The zone, line or slot; None for the camera."""
    state: AlertState
    severity: Severity
    at: Instant
    """When this became so."""
    since: Instant
    """When the condition began to hold."""
    value: _Value
    threshold: _Value
    track: Count | None = None
    """Number of the person's track on this device; it means nothing elsewhere."""
    suppressed: Count = 0
    """How often the rule fired unsaid since its last alert: cooldown, or the hour's budget."""
    note: ShortText | None = None
    """Why, where the figures don't say it: what is wrong with a camera."""
