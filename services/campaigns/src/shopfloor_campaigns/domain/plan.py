"""What an operator wants: which update, for which devices, in which steps, under which gates."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from enum import StrEnum

from shopfloor_contracts.targets import UpdateKind

ANY_HARDWARE = "any"


@dataclass(frozen=True, slots=True)
class Build:
    """One file of an update. ``path`` is its TUF path; ``hardware`` as signed beside it."""

    path: str
    hardware: frozenset[str]
    sha256: str
    size_bytes: int
    sha1: str = ""
    md5: str = ""
    url: str | None = None
    """Where it is when it is not the registry's to serve."""

    def fits(self, capabilities: Collection[str]) -> bool:
        """Return whether a device with these capabilities can install it."""
        return ANY_HARDWARE in self.hardware or not self.hardware.isdisjoint(capabilities)


@dataclass(frozen=True, slots=True)
class Update:
    """One version of something; of its builds a device gets the first that fits."""

    kind: UpdateKind
    name: str
    version: str
    builds: tuple[Build, ...]

    def build_for(self, capabilities: Collection[str]) -> Build | None:
        """Return the build for a device, or None."""
        return next((build for build in self.builds if build.fits(capabilities)), None)


class Gate(StrEnum):
    """What a wave is judged by."""

    INSTALL_SUCCESS = "install-success"
    """Share of the wave's devices that committed."""
    CRASHES = "crashes"
    """Crashes per 1,000 observed hours."""
    LATENCY_P99 = "latency-p99"
    """99th percentile of the new model's inference, in ms."""
    SCORE_DRIFT = "score-drift"
    """Total variation distance of the old and the new model's scores, 0–1."""
    COUNT_DIFFERENCE = "count-difference"
    """New model's crossings against the old one's on the same frames, as a share of the old."""
    DISAGREEMENT = "disagreement"
    """Share of crossings that only one of both models counted."""
    ALERT_PRECISION = "alert-precision"
    """Share of alerts that staff called right."""
    AUDITED_ACCURACY = "audited-accuracy"
    """Share of crossings that people who audited agree with."""
    ESCAPE_RATE = "escape-rate"
    """Share of inspected defects that were let through."""


@dataclass(frozen=True, slots=True)
class GateRule:
    """A gate and when it passes. ``minimum`` is in the unit of the gate's sample."""

    gate: Gate
    limit: float
    minimum: int
    confidence: float = 0.95
    """That a verdict is right, over all looks at one wave together."""


@dataclass(frozen=True, slots=True)
class Retries:
    """How often and when a device tries again: the pause doubles up to ``longest``."""

    attempts: int = 3
    first: timedelta = timedelta(minutes=5)
    longest: timedelta = timedelta(hours=6)

    def pause_after(self, attempt: int) -> timedelta:
        """Return the pause after failed ``attempt``, from 1."""
        # Past 2**20 every pause is capped; without the bound a large attempt would overflow.
        return min(self.first * (1 << min(attempt - 1, 20)), self.longest)


@dataclass(frozen=True, slots=True)
class Timing:
    """How long things take at most, or at least."""

    shadow_s: int = 0
    trial_s: int = 0
    deadline: timedelta = timedelta(days=3)
    """From a wave's opening: a device that has not ended by then counts as failed."""
    cancel: timedelta = timedelta(hours=24)
    """How long a device has to confirm that it stopped."""
    soak: timedelta = timedelta(0)
    """From the end of a wave's last device to its decision."""
    patience: timedelta = timedelta(days=2)
    """From there until an undecided wave pauses the campaign and asks a person."""
    bytes_per_s: int | None = None


@dataclass(frozen=True, slots=True)
class Window:
    """When devices may install, in the time zone of their site; may go past midnight."""

    begin: time
    end: time
    days: frozenset[int] = frozenset(range(7))
    """On which it begins; Monday is 0."""


class Undo(StrEnum):
    """Whose devices go back when a wave fails."""

    WAVE = "wave"
    CAMPAIGN = "campaign"


@dataclass(frozen=True, slots=True)
class Plan:
    """A whole campaign as its operator wrote it.

    ``waves``: an int is a count of devices, a float a share in (0, 1] of those that the waves
    before have left over; the last wave takes all that remain.
    """

    name: str
    selector: str
    update: Update
    waves: tuple[int | float, ...]
    base: Update | None = None
    """What a rollback installs on a device that no longer has what it ran before."""
    gates: tuple[GateRule, ...] = ()
    retries: Retries = Retries()
    timing: Timing = Timing()
    window: Window | None = None
    not_before: datetime | None = None
    not_after: datetime | None = None
    """No wave opens outside of both."""
    approval: bool = True
    priority: int = 0
    """Of two campaigns for one device the higher goes first, then the one that started first."""
    undo: Undo = Undo.WAVE

    def may_open(self, now: datetime) -> bool:
        """Return whether a wave may open now."""
        begun = self.not_before is None or now >= self.not_before
        return begun and not self.is_over(now)

    def is_over(self, now: datetime) -> bool:
        """Return whether the time in which waves may open has passed."""
        return self.not_after is not None and now >= self.not_after
