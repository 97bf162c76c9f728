"""Jobs and actions in SQL. Implements the ``Desk`` port; a device has one open action at most."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, bindparam, insert, or_, select, update

from shopfloor_campaigns.adapters.bodies import STATE
from shopfloor_campaigns.adapters.devices import capabilities_of
from shopfloor_campaigns.adapters.memory import Memory
from shopfloor_campaigns.adapters.tables import ACTIONS, CAMPAIGNS, DEVICES, JOBS
from shopfloor_campaigns.domain.campaigns import Status
from shopfloor_campaigns.domain.jobs import (
    ENDED,
    Dispatched,
    Effect,
    Event,
    Job,
    JobState,
    Ticked,
    step,
)
from shopfloor_campaigns.domain.plan import Build, Plan
from shopfloor_campaigns.errors import UnknownError
from shopfloor_kit.instants import from_ms, to_ms

DISPATCH = 1000
"""Actions made in one go; the next go comes after the writes that wait."""

_CLOSED = {
    Effect.CLOSE_SUCCESS: "success",
    Effect.CLOSE_FAILURE: "failure",
    Effect.CLOSE_CANCELLED: "cancelled",
    Effect.CLOSE_EXPIRED: "expired",
}
_SAVE_JOB = (
    update(JOBS)
    .where(JOBS.c.campaign == bindparam("the_campaign"), JOBS.c.device == bindparam("the_device"))
    .values(
        {
            name: bindparam(f"new_{name}")
            for name in (
                *("state", "attempt", "undo", "fetched", "reason"),
                *("action", "ready_at", "deadline_at", "ended_at"),
            )
        }
    )
)
_SET_ACTION = (
    update(ACTIONS)
    .where(ACTIONS.c.id == bindparam("the_id"))
    .values(state=bindparam("new_state"), closed_at=bindparam("new_closed_at"))
)
_JOB_OF = (
    # By the job's own key: nothing is indexed by ``jobs.action``.
    select(JOBS)
    .join(ACTIONS, and_(ACTIONS.c.campaign == JOBS.c.campaign, ACTIONS.c.device == JOBS.c.device))
    .where(ACTIONS.c.id == bindparam("the_id"), JOBS.c.action == ACTIONS.c.id)
)
_FREE_DEVICE = (
    update(DEVICES)
    .where(DEVICES.c.name == bindparam("the_device"), DEVICES.c.open_action == bindparam("the_id"))
    .values(open_action=None)
)
_HOLD_DEVICE = (
    update(DEVICES)
    .where(DEVICES.c.name == bindparam("the_device"))
    .values(open_action=bindparam("the_id"))
)


@dataclass(frozen=True, slots=True)
class _Change:
    campaign: str
    device: str
    action: int | None
    job: Job
    effects: tuple[Effect, ...]


class SqlDesk:
    """Jobs within one transaction."""

    def __init__(self, connection: Connection, memory: Memory) -> None:
        self._connection, self._plans, self._doors = connection, memory.plans, memory.doors
        self.full = False
        """Whether the last dispatch left something for another one."""
        self._rows: dict[int, Row[Any]] = {}

    def load(self, action: int) -> tuple[Job, Plan]:
        """Return the job of an open action."""
        row = self._row_of(action)
        return job_of(row), self._plans(self._connection, row.campaign)

    def save(self, action: int, job: Job, effects: Sequence[Effect], now: datetime) -> None:
        """Store one job, and what becomes of its action."""
        row = self._row_of(action)
        del self._rows[action]
        self._save([_Change(row.campaign, row.device, action, job, tuple(effects))], now)

    def tell_many(
        self, which: ColumnElement[bool], event: Event, now: datetime, *, afresh: bool = False
    ) -> int:
        """Step every job that ``which`` selects; ``afresh`` forgets what they came to before."""
        changes: list[_Change] = []
        for row in self._connection.execute(select(JOBS).where(which)).all():
            before = Job() if afresh else job_of(row)
            job, effects = step(before, event, now, self._plans(self._connection, row.campaign))
            if job != before or effects:
                changes.append(_Change(row.campaign, row.device, row.action, job, effects))
        self._save(changes, now)
        return len(changes)

    def end_late(self, now: datetime) -> set[str]:
        """End jobs whose deadline has passed; return their campaigns."""
        running = [str(state) for state in JobState if state not in ENDED]
        late = and_(JOBS.c.state.in_(running), JOBS.c.deadline_at <= to_ms(now))
        found = self._connection.execute(select(JOBS.c.campaign).where(late).distinct())
        names = set(found.scalars())
        if names:
            self.tell_many(late, Ticked(), now)
        return names

    def dispatch(self, now: datetime) -> set[str]:
        """Give each free device its next action; return the campaigns that lost a job meanwhile.

        The order of several jobs: a way back first, then the higher priority, then the campaign
        that started first.
        """
        taken: dict[str, Row[Any]] = {}
        for row in self._connection.execute(_ready(now)):
            taken.setdefault(row.device, row)
        changes, rows = [], []
        for row in taken.values():
            plan = self._plans(self._connection, row.campaign)
            chosen = _choose(row, plan)
            if isinstance(chosen, str):
                state = JobState.ROLLBACK_FAILED if row.undo else JobState.FAILED
                job = replace(job_of(row), state=state, reason=chosen)
                changes.append(_Change(row.campaign, row.device, None, job, ()))
                continue
            rows.append((row, chosen))
        lost = {change.campaign for change in changes}
        self._save([*changes, *self._open(rows, now)], now)
        self.full = len(taken) == DISPATCH
        return lost

    def _open(
        self, chosen: list[tuple[Row[Any], tuple[Build | None, str | None]]], now: datetime
    ) -> list[_Change]:
        if not chosen:
            return []
        values = [
            {
                "campaign": row.campaign,
                "device": row.device,
                "wave": row.wave,
                "round": _rounds(row.campaign_state)[row.wave],
                "undo": row.undo,
                "state": "open",
                "build": "" if build is None else build.path,
                "undo_digest": digest,
                "opened_at": to_ms(now),
            }
            for row, (build, digest) in chosen
        ]
        statement = insert(ACTIONS).returning(ACTIONS.c.id, ACTIONS.c.device)
        made = self._connection.execute(statement, values)
        ids = {row.device: row.id for row in made}
        held = [{"the_device": device, "the_id": number} for device, number in ids.items()]
        self._connection.execute(_HOLD_DEVICE, held)
        for device in ids:
            self._doors.change(device)
        return [
            _Change(row.campaign, row.device, ids[row.device], *self._dispatched(row, now))
            for row, _ in chosen
        ]

    def _dispatched(self, row: Row[Any], now: datetime) -> tuple[Job, tuple[Effect, ...]]:
        plan = self._plans(self._connection, row.campaign)
        return step(job_of(row), Dispatched(), now, plan)

    def _row_of(self, action: int) -> Row[Any]:
        row = self._rows.get(action)
        if row is None:
            row = self._connection.execute(_JOB_OF, {"the_id": action}).first()
            if row is None:
                raise UnknownError(f"no job has action {action}")
            self._rows[action] = row
        return row

    def _save(self, changes: Iterable[_Change], now: datetime) -> None:
        saved, actions, freed = [], [], []
        for change in changes:
            closing = any(effect in _CLOSED for effect in change.effects)
            if change.effects:
                self._doors.change(change.device)
            saved.append(_job_values(change, None if closing else change.action, now))
            for effect in change.effects:
                closed_at = to_ms(now) if closing else None
                state = _CLOSED.get(effect, "canceling")
                state = "open" if effect is Effect.REFUSED_CANCEL else state
                values = {"new_state": state, "new_closed_at": closed_at}
                actions.append({"the_id": change.action, **values})
            if closing:
                freed.append({"the_device": change.device, "the_id": change.action})
        for statement, values_of in ((_SAVE_JOB, saved), (_SET_ACTION, actions)):
            if values_of:
                self._connection.execute(statement, values_of)
        if freed:
            self._connection.execute(_FREE_DEVICE, freed)


def job_of(row: Row[Any]) -> Job:
    """Return the domain's job of a row."""
    return Job(
        state=JobState(row.state),
        attempt=row.attempt,
        undo=row.undo,
        fetched=row.fetched,
        ready_at=from_ms(row.ready_at),
        deadline_at=from_ms(row.deadline_at),
        reason=row.reason,
    )


def _job_values(change: _Change, action: int | None, now: datetime) -> dict[str, Any]:
    job = change.job
    return {
        "the_campaign": change.campaign,
        "the_device": change.device,
        "new_state": str(job.state),
        "new_attempt": job.attempt,
        "new_undo": job.undo,
        "new_fetched": job.fetched,
        "new_reason": job.reason[:500],
        "new_action": action,
        "new_ready_at": to_ms(job.ready_at),
        "new_deadline_at": to_ms(job.deadline_at),
        "new_ended_at": to_ms(now) if job.ended else None,
    }


def _ready(now: datetime) -> Any:
    is_due = and_(
        # The states by themselves first, for the index that begins with them.
        JOBS.c.state.in_([str(JobState.QUEUED), str(JobState.RETRYING)]),
        or_(JOBS.c.state == str(JobState.QUEUED), JOBS.c.ready_at <= to_ms(now)),
    )
    may_go = or_(JOBS.c.undo, CAMPAIGNS.c.status == str(Status.RUNNING))
    return (
        select(JOBS, CAMPAIGNS.c.state.label("campaign_state"), DEVICES.c.attributes)
        .join(CAMPAIGNS, CAMPAIGNS.c.name == JOBS.c.campaign)
        .join(DEVICES, DEVICES.c.name == JOBS.c.device)
        .where(is_due, may_go, DEVICES.c.open_action.is_(None))
        .order_by(
            JOBS.c.undo.desc(),
            CAMPAIGNS.c.priority.desc(),
            CAMPAIGNS.c.started_at,
            CAMPAIGNS.c.name,
        )
        .limit(DISPATCH)
    )


def _choose(row: Row[Any], plan: Plan) -> tuple[Build | None, str | None] | str:
    """Return what to send and the digest to go back to, or why nothing can be sent."""
    capabilities = capabilities_of(row.attributes)
    if not row.undo:
        build = plan.update.build_for(capabilities)
        if build is None:
            return "no build fits the device's hardware any more"
        return build, None
    base = None if plan.base is None else plan.base.build_for(capabilities)
    if base is None and row.base is None:
        return "neither the device nor the plan says what it ran before"
    return base, row.base or (None if base is None else base.sha256)


@lru_cache(maxsize=64)
def _rounds(state: str) -> tuple[int, ...]:
    return tuple(wave.round for wave in STATE.validate_json(state).waves)
