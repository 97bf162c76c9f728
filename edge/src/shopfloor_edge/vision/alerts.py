"""The site file's rules on what the analytics see: from a frame to alerts that can be sent."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, time
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from shopfloor_contracts.alerts import AlertData, AlertState
from shopfloor_contracts.events import source_of
from shopfloor_contracts.identity import EVENT_NAMESPACE
from shopfloor_contracts.rules import Metric, QuietHours, RuleSpec
from shopfloor_contracts.site import CameraSpec, SiteFile
from shopfloor_edge.analytics.camera import CameraAnalytics
from shopfloor_edge.analytics.lines import Crossing, Direction
from shopfloor_edge.analytics.planogram import compliance_now
from shopfloor_edge.analytics.presence import (
    GLIMPSE_S,
    HeadingWatch,
    Observation,
    StayLimit,
    wrong_crossings,
)
from shopfloor_edge.analytics.queue import longest_wait_s
from shopfloor_edge.analytics.rules import Alert, Rule, RuleEngine
from shopfloor_edge.analytics.shelf import SlotState

MAX_NAME = 63
CAMERA_FOR_S = 30.0
"""A camera that restarts by itself is back by then."""
_TRUE = 0.5
"""Limit of a metric that is 0 or 1."""


@dataclass(frozen=True, slots=True)
class FrameFacts:
    """What the rules of one camera look at."""

    ids: NDArray[np.int64]
    points: NDArray[np.floating]
    """``(T, 2)`` foot points in pixels."""
    size: tuple[int, int]
    at_s: float
    counts: Mapping[str, int] = field(default_factory=dict)
    """People per zone."""
    crossings: Sequence[Crossing] = ()


@dataclass(frozen=True, slots=True)
class RuleFacts:
    """What one frame says to each rule, by its name."""

    levels: dict[str, float | None]
    observed: dict[str, list[Observation]]


class CameraRules:
    """Reads the figures that the rules of one camera are about."""

    def __init__(self, rules: Sequence[RuleSpec], spec: CameraSpec) -> None:
        self._rules = [
            rule for rule in rules if rule.camera == spec.name and rule.metric is not Metric.CAMERA
        ]
        polygons = {zone.name: zone.polygon for zone in spec.zones}
        self._stays = {
            rule.name: StayLimit(rule.zone, GLIMPSE_S if rule.above is None else rule.above)
            for rule in self._rules
            if rule.zone is not None and rule.metric in (Metric.LOITERING, Metric.RESTRICTED)
        }
        self._ways = {
            rule.name: HeadingWatch(rule.zone, polygons[rule.zone], heading=rule.heading)
            for rule in self._rules
            if rule.zone is not None and rule.heading is not None
        }

    @property
    def any(self) -> bool:
        """Whether there is a rule to be read at all."""
        return bool(self._rules)

    @property
    def zones(self) -> set[str]:
        """Zones in which visits must be followed (``figures.analytics_of``)."""
        followed = (Metric.LOITERING, Metric.RESTRICTED, Metric.QUEUE_LENGTH, Metric.QUEUE_WAIT)
        return {rule.zone for rule in self._rules if rule.zone and rule.metric in followed}

    def read(self, facts: FrameFacts, analytics: CameraAnalytics) -> RuleFacts:
        """Return what one frame says to each rule, after the analytics took it."""
        levels: dict[str, float | None] = {}
        observed: dict[str, list[Observation]] = {}
        for rule in self._rules:
            if rule.metric in (Metric.LOITERING, Metric.RESTRICTED, Metric.WRONG_WAY):
                observed[rule.name] = self._observed(rule, facts, analytics)
            else:
                levels[rule.name] = _level(rule, facts, analytics)
        return RuleFacts(levels, observed)

    def _observed(
        self, rule: RuleSpec, facts: FrameFacts, analytics: CameraAnalytics
    ) -> list[Observation]:
        if rule.name in self._stays and rule.zone is not None:
            stays = analytics.visits[rule.zone].present()
            return self._stays[rule.name].update(stays, at_s=facts.at_s)
        if rule.name in self._ways:
            way = self._ways[rule.name]
            return way.update(facts.ids, facts.points, size=facts.size, at_s=facts.at_s)
        if rule.line is None or rule.direction is None:
            return []
        forbidden = Direction(rule.direction)
        return wrong_crossings(facts.crossings, line=rule.line, forbidden=forbidden)


def rules_of(site: SiteFile) -> list[RuleSpec]:
    """Return the site's rules, and one for each camera that has none about itself."""
    rules = list(site.rules)
    if not site.alerts.cameras:
        return rules
    ruled = {rule.camera for rule in rules if rule.metric is Metric.CAMERA}
    taken = {rule.name for rule in rules}
    for camera in site.cameras:
        name = f"camera-{camera.name}"[:MAX_NAME].rstrip("-")
        if camera.name not in ruled and name not in taken:
            taken.add(name)
            rules.append(
                RuleSpec(name=name, camera=camera.name, metric=Metric.CAMERA, for_s=CAMERA_FOR_S)
            )
    return rules


class SiteAlerts:
    """The alerts of one device: all its cameras share the budget."""

    def __init__(self, site: SiteFile) -> None:
        self._site = site
        self._specs = {rule.name: rule for rule in rules_of(site)}
        self._notes: dict[str, str] = {}
        self._engine = RuleEngine(
            [_rule(spec) for spec in self._specs.values()],
            zone=ZoneInfo(site.time_zone),
            budget_per_hour=site.alerts.budget_per_hour,
            noisy_per_hour=site.alerts.noisy_per_hour,
        )

    def update(self, now: datetime, facts: RuleFacts) -> list[AlertData]:
        """Take what one camera's frame says; return the alerts to send, for that camera."""
        alerts = self._engine.update(now, facts.levels, facts.observed)
        return [self._data(alert) for alert in alerts]

    def camera(self, now: datetime, camera: str, fault: str) -> list[AlertData]:
        """Take what is wrong with a camera, in words; empty where nothing is."""
        names = [
            spec.name
            for spec in self._specs.values()
            if spec.camera == camera and spec.metric is Metric.CAMERA
        ]
        if fault:
            self._notes |= dict.fromkeys(names, fault)
        alerts = self._engine.update(now, dict.fromkeys(names, float(bool(fault))))
        return [self._data(alert) for alert in alerts]

    def noisy(self) -> list[str]:
        """Return the rules that fired too often in the last hour."""
        return self._engine.noisy()

    def _data(self, alert: Alert) -> AlertData:
        spec = self._specs[alert.rule]
        source = source_of(self._site.site, self._site.device, spec.camera)
        # Raised and cleared have rule and beginning in common, and so the identity.
        text = f"{source}/{alert.rule}/{alert.track}/{alert.since.isoformat()}"
        return AlertData(
            alert_id=uuid.uuid5(EVENT_NAMESPACE, text),
            rule=alert.rule,
            metric=spec.metric,
            about=spec.about,
            state=AlertState(alert.state),
            severity=spec.severity,
            at=alert.at,
            since=alert.since,
            value=round(alert.value, 3),
            threshold=alert.threshold,
            track=alert.track,
            suppressed=alert.suppressed,
            note=self._notes.get(alert.rule),
        )


def _rule(spec: RuleSpec) -> Rule:
    is_true = spec.metric in (Metric.SLOT_EMPTY, Metric.SLOT_WRONG, Metric.CAMERA)
    return Rule(
        spec.name,
        above=_TRUE if is_true else spec.above,
        below=spec.below,
        clear=spec.clear,
        for_s=spec.for_s,
        cooldown_s=spec.cooldown_s,
        quiet=[_stretch(hours) for hours in spec.quiet],
    )


def _stretch(hours: QuietHours) -> tuple[time, time]:
    return time.fromisoformat(hours.start), time.fromisoformat(hours.end)


def _level(rule: RuleSpec, facts: FrameFacts, analytics: CameraAnalytics) -> float | None:
    """Return the figure of a rule; None while it is not known."""
    slots = analytics.shelf.readings()
    if rule.metric is Metric.COMPLIANCE:
        return compliance_now(reading.state for reading in slots.values()).ratio
    if rule.slot is not None:
        state = slots[rule.slot].state
        wanted = SlotState.EMPTY if rule.metric is Metric.SLOT_EMPTY else SlotState.WRONG
        return None if state is SlotState.UNKNOWN else float(state is wanted)
    if rule.zone is None:
        return None
    if rule.metric is Metric.PEOPLE:
        return facts.counts.get(rule.zone)
    visits = analytics.visits[rule.zone]
    return longest_wait_s(visits) if rule.metric is Metric.QUEUE_WAIT else float(visits.count)
