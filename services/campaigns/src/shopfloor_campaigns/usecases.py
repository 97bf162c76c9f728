"""Move campaigns and devices on: load, step, save, carry out; all in the caller's transaction."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from shopfloor_campaigns.domain import campaigns, jobs
from shopfloor_campaigns.domain.campaigns import Campaign, Measured, NotNow
from shopfloor_campaigns.domain.jobs import Job
from shopfloor_campaigns.domain.plan import Plan
from shopfloor_campaigns.errors import ConflictError


class Ledger(Protocol):
    """Where campaigns are."""

    def load(self, name: str) -> tuple[Campaign, Plan]:
        """Return state and plan. Raises ``UnknownError``."""

    def save(self, name: str, campaign: Campaign, now: datetime) -> None:
        """Store the state."""

    def measure(self, name: str, campaign: Campaign) -> Measured | None:
        """Add up the current wave; None when there is no wave left."""

    def carry_out(self, name: str, effects: Sequence[campaigns.Effect], now: datetime) -> None:
        """Do to devices and verdicts what a step asks for."""


class Desk(Protocol):
    """Where the jobs of devices are."""

    def load(self, action: int) -> tuple[Job, Plan]:
        """Return the job that an open action belongs to."""

    def save(self, action: int, job: Job, effects: Sequence[jobs.Effect], now: datetime) -> None:
        """Store the job, and end its action if the effects say so."""


def order(ledger: Ledger, name: str, event: campaigns.Event, now: datetime) -> Campaign:
    """Do what a person asks for.

    Raises:
        UnknownError: there is no such campaign.
        ConflictError: its state does not allow it.
    """
    campaign, plan = ledger.load(name)
    try:
        return _move(ledger, name, (campaign, plan), event, now)
    except NotNow as e:
        raise ConflictError(f"{name}: {e}") from e


def decide(ledger: Ledger, name: str, now: datetime) -> Campaign:
    """Look at the current wave, and move on if it is time to."""
    campaign, plan = ledger.load(name)
    measured = ledger.measure(name, campaign)
    if measured is None:
        return campaign
    return _move(ledger, name, (campaign, plan), measured, now)


def tell(desk: Desk, action: int, event: jobs.Event, now: datetime) -> Job:
    """Take in what a device says of its open action."""
    job, plan = desk.load(action)
    after, effects = jobs.step(job, event, now, plan)
    if after != job or effects:
        desk.save(action, after, effects, now)
    return after


def _move(
    ledger: Ledger,
    name: str,
    before: tuple[Campaign, Plan],
    event: campaigns.Event,
    now: datetime,
) -> Campaign:
    campaign, plan = before
    after, effects = campaigns.step(campaign, event, now, plan)
    if after != campaign:
        ledger.save(name, after, now)
    ledger.carry_out(name, effects, now)
    return after
