"""Which release runs, which is tried, and what may never run again. Pure: no clock, no disk.

An attempt goes staged → shadow → trial and ends committed, failed or cancelled. Whoever loads what
is attempted counts that first; after ``LOADS_MAX`` loads that ended badly the next one goes back
to the good release, and the digest is quarantined. The good release of a kind changes by a commit
or by a person's rollback, never by a failure.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Literal

from shopfloor_contracts.targets import UpdateKind

LOADS_MAX = 3
QUARANTINE_MAX = 200
"""Digests remembered; the oldest is forgotten first."""


class SlotsError(ValueError):
    """A step that does not follow from the state."""


class Step(StrEnum):
    """How far an attempt is."""

    STAGED = "staged"
    """Verified and unpacked, not loaded by vision yet."""
    SHADOW = "shadow"
    TRIAL = "trial"


@dataclass(frozen=True, slots=True)
class Release:
    """One archive in the store."""

    kind: UpdateKind
    digest: str
    """sha256 of the archive."""
    size_bytes: int
    path: str
    """Of the TUF target that it came from."""
    name: str
    version: str


@dataclass(frozen=True, slots=True)
class Attempt:
    """A release that is not good yet."""

    release: Release
    action: str
    """Of the campaign's server; empty for a person's own."""
    shadow_s: float
    trial_s: float
    step: Step = Step.STAGED
    loads: int = 0
    """In this step; counted before the load."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How the attempt before ended."""

    action: str
    digest: str
    committed: bool
    reason: str = ""
    crashes: int = 0


@dataclass(frozen=True, slots=True)
class Pair:
    """Slots A and B of one kind; None is what the device was provisioned with."""

    a: Release | None = None
    b: Release | None = None
    good: Literal["a", "b"] = "a"

    @property
    def active(self) -> Release | None:
        """The good release."""
        return self.a if self.good == "a" else self.b

    @property
    def spare(self) -> Release | None:
        """The release before it."""
        return self.b if self.good == "a" else self.a

    @property
    def both(self) -> tuple[Release, ...]:
        """The releases in the slots."""
        return tuple(one for one in (self.a, self.b) if one is not None)


@dataclass(frozen=True, slots=True)
class Slots:
    """Everything that decides what runs. One attempt at a time."""

    model: Pair = Pair()
    config: Pair = Pair()
    wheels: Pair = Pair()
    attempt: Attempt | None = None
    quarantine: tuple[str, ...] = ()
    last: Ending | None = None

    def pair(self, kind: UpdateKind) -> Pair:
        """Return the slots of a kind.

        Raises:
            SlotsError: releases of that kind have no slots.
        """
        if kind is UpdateKind.MODEL:
            return self.model
        if kind is UpdateKind.CONFIG:
            return self.config
        if kind is UpdateKind.WHEELS:
            return self.wheels
        raise SlotsError(f"{kind} has no slots")

    def runs(self, kind: UpdateKind) -> Release | None:
        """Return what counts now: the release on trial, or the good one."""
        attempt = self.attempt
        if attempt is not None and attempt.step is Step.TRIAL and attempt.release.kind is kind:
            return attempt.release
        return self.pair(kind).active

    @property
    def shadow(self) -> Release | None:
        """What runs beside the active model."""
        attempt = self.attempt
        return attempt.release if attempt and attempt.step is Step.SHADOW else None

    @property
    def kept(self) -> frozenset[str]:
        """Digests that the store must not lose."""
        releases = [*self.model.both, *self.config.both, *self.wheels.both]
        if self.attempt is not None:
            releases.append(self.attempt.release)
        return frozenset(release.digest for release in releases)

    def seen_by(self, application: str) -> Slots:
        """Return these slots as a process sees them that runs ``application``.

        An application is tried only by the processes that run it.
        """
        attempt = self.attempt
        if attempt is None or attempt.release.kind is not UpdateKind.WHEELS:
            return self
        return self if attempt.release.digest == application else replace(self, attempt=None)


def stage(slots: Slots, attempt: Attempt) -> Slots:
    """Begin an attempt.

    Raises:
        SlotsError: another is under way, the digest is quarantined, or it is the good one.
    """
    release = attempt.release
    if slots.attempt is not None:
        raise SlotsError(f"{slots.attempt.release.name} is still being tried")
    if release.digest in slots.quarantine:
        raise SlotsError(f"{release.digest[:12]} is quarantined: it failed on this device")
    active = slots.pair(release.kind).active
    if active is not None and active.digest == release.digest:
        raise SlotsError(f"{release.digest[:12]} is active already")
    return replace(slots, attempt=replace(attempt, step=Step.STAGED, loads=0))


def advance(slots: Slots, step: Step) -> Slots:
    """Take the attempt to a later step.

    Raises:
        SlotsError: there is no attempt, or it is as far already.
    """
    order = list(Step)
    attempt = slots.attempt
    if attempt is None or order.index(step) <= order.index(attempt.step):
        raise SlotsError(f"nothing goes to {step} from {attempt.step if attempt else 'no attempt'}")
    return replace(slots, attempt=replace(attempt, step=step, loads=0))


def load(slots: Slots) -> Slots:
    """Count a load of the attempt, or give it up when it was loaded too often.

    Called before the load; what the result says is loaded. Without an attempt, or with one that
    is only staged, nothing changes; an application's loads are counted by its launcher.
    """
    attempt = slots.attempt
    if attempt is None or attempt.step is Step.STAGED or attempt.release.kind is UpdateKind.WHEELS:
        return slots
    if attempt.loads >= LOADS_MAX:
        return fail(slots, f"{attempt.loads} {attempt.step} loads ended badly")
    return replace(slots, attempt=replace(attempt, loads=attempt.loads + 1))


def unload(slots: Slots, digest: str) -> Slots:
    """Take back a load that ended well: a stop on purpose is no failure."""
    attempt = slots.attempt
    if attempt is None or attempt.release.digest != digest or attempt.loads == 0:
        return slots
    if attempt.release.kind is UpdateKind.WHEELS:
        return slots
    return replace(slots, attempt=replace(attempt, loads=attempt.loads - 1))


def fail(slots: Slots, reason: str) -> Slots:
    """End the attempt and never try its digest again; the good release stays.

    Raises:
        SlotsError: there is no attempt.
    """
    attempt = _attempt(slots)
    ended = _ended(slots, reason, crashes=attempt.loads)
    return replace(ended, quarantine=_quarantined(slots, attempt.release.digest))


def cancel(slots: Slots, reason: str) -> Slots:
    """End the attempt; its digest may be tried again.

    Raises:
        SlotsError: there is no attempt.
    """
    return _ended(slots, reason, crashes=0)


def commit(slots: Slots) -> Slots:
    """Make the release on trial good; the one before stays in the other slot.

    Raises:
        SlotsError: nothing is on trial.
    """
    attempt = _attempt(slots)
    if attempt.step is not Step.TRIAL:
        raise SlotsError(f"{attempt.release.name} is {attempt.step}, not on trial")
    release = attempt.release
    pair = slots.pair(release.kind)
    pair = Pair(pair.a, release, "b") if pair.good == "a" else Pair(release, pair.b, "a")
    crashes = max(0, attempt.loads - 1)
    ending = Ending(attempt.action, release.digest, committed=True, crashes=crashes)
    return replace(_with(slots, release.kind, pair), attempt=None, last=ending)


def roll_back(slots: Slots, kind: UpdateKind) -> Slots:
    """Return to the release before the good one, as a person asks; quarantine the good one.

    Raises:
        SlotsError: there is none before, or something is being tried.
    """
    pair = slots.pair(kind)
    if slots.attempt is not None:
        raise SlotsError(f"{slots.attempt.release.name} is still being tried")
    if pair.active is None:
        raise SlotsError(f"no {kind} was installed after provisioning")
    if pair.spare is not None and pair.spare.digest in slots.quarantine:
        raise SlotsError(f"the {kind} before it failed on this device")
    back = replace(pair, good="b" if pair.good == "a" else "a")
    quarantine = _quarantined(slots, pair.active.digest)
    return replace(_with(slots, kind, back), quarantine=quarantine)


def restore(slots: Slots, kind: UpdateKind, digest: str, *, provisioned: str = "") -> Slots:
    """Return to the release before the good one, as a campaign asks that undoes itself.

    Args:
        provisioned: digest of what an empty slot stands for, where that is known.

    Raises:
        SlotsError: it is not the one with ``digest``, it failed here, or something is being tried.
    """
    pair = slots.pair(kind)
    spare = pair.spare.digest if pair.spare else provisioned
    if slots.attempt is not None or pair.active is None or spare != digest:
        raise SlotsError(f"{digest[:12]} is not in the other slot")
    if digest in slots.quarantine:
        raise SlotsError(f"{digest[:12]} is quarantined: it failed on this device")
    return _with(slots, kind, replace(pair, good="b" if pair.good == "a" else "a"))


def _attempt(slots: Slots) -> Attempt:
    if slots.attempt is None:
        raise SlotsError("nothing is being tried")
    return slots.attempt


def _ended(slots: Slots, reason: str, *, crashes: int) -> Slots:
    attempt = _attempt(slots)
    digest = attempt.release.digest
    ending = Ending(attempt.action, digest, committed=False, reason=reason, crashes=crashes)
    return replace(slots, attempt=None, last=ending)


def _quarantined(slots: Slots, digest: str) -> tuple[str, ...]:
    others = tuple(one for one in slots.quarantine if one != digest)
    return (*others, digest)[-QUARANTINE_MAX:]


def _with(slots: Slots, kind: UpdateKind, pair: Pair) -> Slots:
    if kind is UpdateKind.MODEL:
        return replace(slots, model=pair)
    if kind is UpdateKind.WHEELS:
        return replace(slots, wheels=pair)
    return replace(slots, config=pair)
