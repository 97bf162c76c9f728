"""Alerts of a station: raised once, cleared once, with one identity, also over a crash."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime

from shopfloor_contracts.alerts import AlertData, AlertState
from shopfloor_contracts.events import source_of
from shopfloor_contracts.identity import EVENT_NAMESPACE
from shopfloor_contracts.recipes import ALL, Recipe
from shopfloor_contracts.rules import Severity
from shopfloor_edge.journal.outbox import Draft

DEFECT_RATE, LINE_STOP, STATION = "defect-rate", "line-stop", "station"
_SEVERITY = {
    DEFECT_RATE: Severity.WARNING,
    LINE_STOP: Severity.CRITICAL,
    STATION: Severity.CRITICAL,
}
MAX_NOTE = 200


@dataclass(frozen=True, slots=True)
class Cause:
    """What an alert says beside its rule."""

    about: str = ALL
    value: float = 0.0
    """How near the chart is to its limit, or parts in a row without a judgement."""
    threshold: float = 1.0
    note: str | None = None


class Alarms:
    """Says what has changed.

    Args:
        told: rules that are raised, and since when; kept by the caller, changed here.
    """

    def __init__(self, recipe: Recipe, told: dict[str, str]) -> None:
        self._source = source_of(recipe.site, recipe.device, recipe.station)
        self._told = told

    def set(self, metric: str, at_s: float, cause: Cause | None) -> list[Draft]:
        """Raise with a cause, clear with None; nothing when that was said already."""
        if (cause is not None) == (metric in self._told):
            return []
        at = datetime.fromtimestamp(at_s, UTC)
        if cause is None:
            since = datetime.fromisoformat(self._told.pop(metric))
            return [self._draft(metric, AlertState.CLEARED, (at, since), Cause())]
        self._told[metric] = at.isoformat()
        return [self._draft(metric, AlertState.RAISED, (at, at), cause)]

    def _draft(
        self, metric: str, state: AlertState, when: tuple[datetime, datetime], cause: Cause
    ) -> Draft:
        at, since = when
        data = AlertData(
            alert_id=uuid.uuid5(EVENT_NAMESPACE, f"{self._source}/{metric}/{since.isoformat()}"),
            rule=metric,
            metric=metric,
            about=None if cause.about == ALL else cause.about,
            state=state,
            severity=_SEVERITY[metric],
            at=at,
            since=since,
            value=round(cause.value, 3),
            threshold=cause.threshold,
            note=cause.note[:MAX_NOTE] if cause.note else None,
        )
        return Draft(data, self._source, at)
