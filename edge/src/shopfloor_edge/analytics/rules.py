"""Alert rules: when a figure is worth telling a person, and when not.

A level rule fires when its figure has been beyond the limit for ``for_s`` of observed time, and
clears when the figure is back at ``clear``. A rule about people fires once per track. What fires
within the cooldown after the rule's last alert, or when the device's budget of the last hour is
used up, is counted and not told; in quiet hours nothing is raised. A rule that fires more often
than ``noisy_per_hour``, told or not, is reported as noisy, at most once an hour.

Pure: the caller passes the time. A clock that is set back makes time stand still; a gap of more
than ``GAP_MAX_S`` between two looks proves nothing, so what was pending starts again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, time, tzinfo
from enum import StrEnum

from shopfloor_edge.analytics.clock import SteadyClock
from shopfloor_edge.analytics.presence import Observation

HOUR_S = 3600.0
GAP_MAX_S = 10.0
TRACKS_MAX = 1000
"""Tracks remembered per rule: an hour of a busy entrance."""


class AlertState(StrEnum):
    """What an alert says about its rule."""

    RAISED = "raised"
    CLEARED = "cleared"
    NOISY = "noisy"


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule; ``above`` and ``below`` are both None for a rule about people."""

    name: str
    above: float | None = None
    below: float | None = None
    clear: float | None = None
    for_s: float = 0.0
    cooldown_s: float = 300.0
    quiet: Sequence[tuple[time, time]] = ()
    """Stretches of the local day, over midnight when the end is before the start."""

    @property
    def threshold(self) -> float:
        """The limit, 0 for a rule about people."""
        return self.above if self.above is not None else self.below or 0.0

    def beyond(self, value: float) -> bool:
        """Tell whether ``value`` is over the limit."""
        if self.above is not None:
            return value > self.above
        return self.below is not None and value < self.below

    def back(self, value: float) -> bool:
        """Tell whether ``value`` has come back far enough to clear."""
        limit = self.threshold if self.clear is None else self.clear
        return value <= limit if self.above is not None else value >= limit

    def is_quiet(self, local: time) -> bool:
        """Tell whether nobody is to be disturbed now."""
        return any(
            start <= local < end if start < end else local >= start or local < end
            for start, end in self.quiet
        )


@dataclass(frozen=True, slots=True)
class Alert:
    """One message about one rule."""

    rule: str
    state: AlertState
    at: datetime
    since: datetime
    """When the condition began; with the rule it names the alert from raised to cleared."""
    value: float
    threshold: float
    track: int | None = None
    suppressed: int = 0
    """How often the rule fired unsaid since its last alert."""


@dataclass(slots=True)
class _State:
    since: datetime | None = None
    """Beyond the limit since then."""
    held_s: float = 0.0
    looked_s: float = 0.0
    fired: bool = False
    raised: bool = False
    raised_at_s: float | None = None
    noisy_at_s: float | None = None
    suppressed: int = 0
    fires_s: deque[float] = field(default_factory=deque)
    tracks: deque[int] = field(default_factory=lambda: deque(maxlen=TRACKS_MAX))


class RuleEngine:
    """The alert rules of one device."""

    def __init__(
        self,
        rules: Sequence[Rule],
        *,
        zone: tzinfo,
        budget_per_hour: int = 30,
        noisy_per_hour: int = 6,
    ) -> None:
        self._rules = {rule.name: rule for rule in rules}
        self._states = {rule.name: _State() for rule in rules}
        self._zone, self._budget, self._noisy = zone, budget_per_hour, noisy_per_hour
        self._clock = SteadyClock()
        self._told_s: deque[float] = deque()

    def update(
        self,
        now: datetime,
        levels: Mapping[str, float | None],
        observed: Mapping[str, Iterable[Observation]] | None = None,
    ) -> list[Alert]:
        """Take a look at the figures.

        Args:
            now: an aware instant; may jump.
            levels: figure by rule; a rule that is absent or None was not observed.
            observed: what people did, by rule.
        """
        self._clock.tick(now.timestamp())
        self._told_s = _recent(self._told_s, self._clock.now_s)
        alerts: list[Alert] = []
        for name, value in levels.items():
            if value is None:
                continue
            alerts += self._level(self._rules[name], value, now)
        for name, observations in (observed or {}).items():
            for observation in observations:
                alerts += self._observed(self._rules[name], observation, now)
        return alerts

    def noisy(self) -> list[str]:
        """Return the rules that fired too often in the last hour."""
        return [name for name, state in self._states.items() if self._is_noisy(state)]

    def _level(self, rule: Rule, value: float, now: datetime) -> list[Alert]:
        state = self._states[rule.name]
        # By rule: the device's cameras take turns, each with rules of its own.
        elapsed_s = self._clock.now_s - state.looked_s
        state.looked_s = self._clock.now_s
        if state.fired:
            if rule.back(value):
                return self._clear(rule, state, value, now)
            # Raised late when quiet hours or a cooldown are over and it is still so.
            return self._tell(rule, value, now, track=None) if not state.raised else []
        if not rule.beyond(value):
            state.since, state.held_s = None, 0.0
            return []
        if state.since is None or elapsed_s > GAP_MAX_S:
            state.since, state.held_s = now, 0.0
        else:
            state.held_s += elapsed_s
        if state.held_s < rule.for_s or self._quiet(rule, now):
            return []
        state.fired = True
        state.fires_s.append(self._clock.now_s)
        told = self._tell(rule, value, now, track=None)
        state.suppressed += not told
        return told + self._report_noisy(rule, value, now)

    def _observed(self, rule: Rule, observation: Observation, now: datetime) -> list[Alert]:
        state = self._states[rule.name]
        if observation.track in state.tracks or self._quiet(rule, now):
            return []
        state.tracks.append(observation.track)
        state.fires_s.append(self._clock.now_s)
        state.since = now
        told = self._tell(rule, observation.value, now, track=observation.track)
        state.suppressed += not told
        return told + self._report_noisy(rule, observation.value, now)

    def _tell(self, rule: Rule, value: float, now: datetime, *, track: int | None) -> list[Alert]:
        """Raise unless it is quiet, too soon after the last one, or over the budget."""
        state, now_s = self._states[rule.name], self._clock.now_s
        soon = state.raised_at_s is not None and now_s - state.raised_at_s < rule.cooldown_s
        if soon or self._quiet(rule, now) or len(self._told_s) >= self._budget:
            return []
        self._told_s.append(now_s)
        state.raised, state.raised_at_s = True, now_s
        unsaid, state.suppressed = state.suppressed, 0
        since = state.since or now
        return [
            Alert(rule.name, AlertState.RAISED, now, since, value, rule.threshold, track, unsaid)
        ]

    def _clear(self, rule: Rule, state: _State, value: float, now: datetime) -> list[Alert]:
        raised, since = state.raised, state.since or now
        state.fired = state.raised = False
        state.since, state.held_s = None, 0.0
        # Who was told of the beginning is told of the end: this is not counted as another alert.
        return (
            [Alert(rule.name, AlertState.CLEARED, now, since, value, rule.threshold)]
            if raised
            else []
        )

    def _report_noisy(self, rule: Rule, value: float, now: datetime) -> list[Alert]:
        state, now_s = self._states[rule.name], self._clock.now_s
        told = state.noisy_at_s is not None and now_s - state.noisy_at_s < HOUR_S
        if told or not self._is_noisy(state) or len(self._told_s) >= self._budget:
            return []
        self._told_s.append(now_s)
        state.noisy_at_s = now_s
        unsaid, state.suppressed = state.suppressed, 0
        noisy = AlertState.NOISY
        return [Alert(rule.name, noisy, now, now, value, rule.threshold, None, unsaid)]

    def _is_noisy(self, state: _State) -> bool:
        state.fires_s = _recent(state.fires_s, self._clock.now_s)
        return len(state.fires_s) > self._noisy

    def _quiet(self, rule: Rule, now: datetime) -> bool:
        return rule.is_quiet(now.astimezone(self._zone).time())


def _recent(instants_s: deque[float], now_s: float) -> deque[float]:
    while instants_s and now_s - instants_s[0] >= HOUR_S:
        instants_s.popleft()
    return instants_s
