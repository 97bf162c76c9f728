"""What people are told: a machine that drifts or steps, a sensor that is silent or stuck."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime

from shopfloor_contracts.alerts import AlertData, AlertState
from shopfloor_contracts.identity import EVENT_NAMESPACE
from shopfloor_contracts.rules import Severity
from shopfloor_contracts.sensors import SensorSpec
from shopfloor_edge.sensing.monitor import MachineState, Reading

MACHINE, SENSOR = "machine-drift", "sensor"
"""Metrics of the alerts."""
_NAME_CHARS = 48
_TOP = 1e8


@dataclass(frozen=True, slots=True)
class _Said:
    metric: str
    value: float
    threshold: float
    note: str


class Alarms:
    """The four alerts of one sensor; each is raised once, and cleared."""

    def __init__(self, spec: SensorSpec, source: str) -> None:
        self._spec, self._source = spec, source
        self.raised: dict[str, float] = {}
        """Rules that are raised, and since when (epoch)."""

    @property
    def is_silent(self) -> bool:
        """Whether silence is told."""
        return self._rule("silent") in self.raised

    @property
    def is_stuck(self) -> bool:
        """Whether a stuck value is told."""
        return self._rule("stuck") in self.raised

    def machine(self, at_s: float, reading: Reading) -> list[AlertData]:
        """Take what the charts say. An abrupt change is an alert of its own, beside a drift."""
        note = f"{reading.figure}: step of {min(reading.score, _TOP):.1f} standard deviations"
        said = _Said(MACHINE, min(reading.level, _TOP), 1.0, note)
        return [
            *self._say("drift", at_s, reading.drifting, said),
            *self._say("abrupt", at_s, reading.state is MachineState.ABRUPT, said),
        ]

    def silent(self, at_s: float, last_s: float, *, is_so: bool) -> list[AlertData]:
        """Take whether samples come; ``last_s`` is the newest's instant."""
        limit_s = self._spec.silent_s
        note = f"sensor-silent: no sample for {limit_s:g} s"
        return self._say("silent", at_s, is_so, _Said(SENSOR, at_s - last_s, limit_s, note))

    def stuck(self, at_s: float, since_s: float, *, is_so: bool) -> list[AlertData]:
        """Take whether the value has not changed for too long."""
        limit_s = self._spec.stuck_s
        note = f"sensor-stuck: the same value for {limit_s:g} s"
        return self._say("stuck", at_s, is_so, _Said(SENSOR, at_s - since_s, limit_s, note))

    def _rule(self, what: str) -> str:
        return f"{self._spec.name[:_NAME_CHARS].rstrip('-')}-{what}"

    def _say(self, what: str, at_s: float, is_so: bool, said: _Said) -> list[AlertData]:  # noqa: FBT001
        rule = self._rule(what)
        if is_so == (rule in self.raised):
            return []
        since_s = self.raised.setdefault(rule, at_s)
        if not is_so:
            del self.raised[rule]
        # Raised and cleared have rule and beginning in common, and so the identity.
        text = f"{self._source}/{rule}/{instant(since_s).isoformat()}"
        return [
            AlertData(
                alert_id=uuid.uuid5(EVENT_NAMESPACE, text),
                rule=rule,
                metric=said.metric,
                about=self._spec.machine,
                state=AlertState.RAISED if is_so else AlertState.CLEARED,
                severity=Severity.CRITICAL if what == "abrupt" else self._spec.severity,
                at=instant(at_s),
                since=instant(since_s),
                value=round(max(0.0, min(said.value, _TOP)), 3),
                threshold=said.threshold,
                note=said.note if is_so else None,
            )
        ]


def instant(at_s: float) -> datetime:
    """Return an epoch second as an instant."""
    return datetime.fromtimestamp(at_s, UTC)
