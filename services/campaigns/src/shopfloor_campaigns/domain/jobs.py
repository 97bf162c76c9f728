"""One device's part in a campaign: a pure machine, ``(job, event, now) -> job, effects``.

A job is tried in actions, one after the other; the device sees actions only. Which of several
jobs of a device has the one open action is not decided here (``store.dispatch``).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from shopfloor_campaigns.domain.plan import Plan
from shopfloor_contracts.ddi import Execution, Finished
from shopfloor_contracts.evidence import Phase


class JobState(StrEnum):
    """How far a device is."""

    WAITING = "waiting"
    """Its wave is not open."""
    QUEUED = "queued"
    """Ready for an action; another campaign of the same device may have to end first."""
    OFFERED = "offered"
    DOWNLOADING = "downloading"
    INSTALLING = "installing"
    SHADOW = "shadow"
    TRIAL = "trial"
    RETRYING = "retrying"
    """The last action failed; the next one waits for ``ready_at``."""
    CANCELING = "canceling"
    """The device was told to stop and has not said that it did."""
    COMMITTED = "committed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    ROLLED_BACK = "rolled-back"
    ROLLBACK_FAILED = "rollback-failed"


ENDED = frozenset(
    {
        JobState.COMMITTED,
        JobState.FAILED,
        JobState.CANCELLED,
        JobState.ROLLED_BACK,
        JobState.ROLLBACK_FAILED,
    }
)
WITH_ACTION = frozenset(
    {
        JobState.OFFERED,
        JobState.DOWNLOADING,
        JobState.INSTALLING,
        JobState.SHADOW,
        JobState.TRIAL,
        JobState.CANCELING,
    }
)
"""States in which an action is open."""
_ORDER = [
    JobState.OFFERED,
    JobState.DOWNLOADING,
    JobState.INSTALLING,
    JobState.SHADOW,
    JobState.TRIAL,
]


@dataclass(frozen=True, slots=True)
class Job:
    """``undo`` says that what runs is the way back. ``reason`` is for people."""

    state: JobState = JobState.WAITING
    attempt: int = 0
    undo: bool = False
    fetched: bool = False
    """Whether the device has read its open action."""
    ready_at: datetime | None = None
    deadline_at: datetime | None = None
    reason: str = ""

    @property
    def ended(self) -> bool:
        """Return whether nothing more happens by itself."""
        return self.state in ENDED


@dataclass(frozen=True, slots=True)
class Opened:
    """Its wave is open."""


@dataclass(frozen=True, slots=True)
class Dispatched:
    """An action was made for it."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """The device read the action."""


@dataclass(frozen=True, slots=True)
class Said:
    """The device's feedback about its open action."""

    execution: Execution
    finished: Finished
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Reached:
    """A phase that evidence tells of."""

    phase: Phase


@dataclass(frozen=True, slots=True)
class CancelSaid:
    """The device's feedback about being told to stop."""

    stopped: bool


@dataclass(frozen=True, slots=True)
class StopAsked:
    """Nothing of this job shall go on; what is committed stays."""

    reason: str


@dataclass(frozen=True, slots=True)
class UndoAsked:
    """As ``StopAsked``, and what is committed goes back."""

    reason: str


@dataclass(frozen=True, slots=True)
class Ticked:
    """Time went by."""


Event = Opened | Dispatched | Fetched | Said | Reached | CancelSaid | StopAsked | UndoAsked | Ticked


class Effect(StrEnum):
    """What becomes of the open action."""

    CLOSE_SUCCESS = "success"
    CLOSE_FAILURE = "failure"
    CLOSE_CANCELLED = "cancelled"
    CLOSE_EXPIRED = "expired"
    ASK_CANCEL = "cancel"
    REFUSED_CANCEL = "cancel-refused"


Step = tuple[Job, tuple[Effect, ...]]


def step(job: Job, event: Event, now: datetime, plan: Plan) -> Step:  # noqa: C901, PLR0911 — one case per event
    """Move a job on; an event that means nothing in its state changes nothing."""
    match event:
        case Opened() if job.state is JobState.WAITING:
            deadline = now + plan.timing.deadline
            return replace(job, state=JobState.QUEUED, deadline_at=deadline), ()
        case Dispatched() if job.state in (JobState.QUEUED, JobState.RETRYING):
            attempt = job.attempt + 1
            opened = replace(job, state=JobState.OFFERED, attempt=attempt, fetched=False)
            return replace(opened, ready_at=None), ()
        case Fetched() if job.state in WITH_ACTION and not job.fetched:
            return replace(job, fetched=True), ()
        case Said():
            return _said(job, event, now, plan)
        case Reached():
            return _reached(job, event.phase), ()
        case CancelSaid() if job.state is JobState.CANCELING:
            if not event.stopped:
                return job, (Effect.REFUSED_CANCEL,)
            return replace(job, state=JobState.CANCELLED), (Effect.CLOSE_CANCELLED,)
        case StopAsked():
            return _stop(job, event.reason, now, plan)
        case UndoAsked():
            return _undo(job, event.reason, now, plan)
        case Ticked():
            return _tick(job, now)
        case _:
            return job, ()


def _said(job: Job, said: Said, now: datetime, plan: Plan) -> Step:
    if job.state not in WITH_ACTION:
        return job, ()
    if said.execution is Execution.CLOSED and said.finished is Finished.SUCCESS:
        return _succeeded(job, now, plan)
    if said.execution is Execution.CANCELED:
        ended = replace(job, state=JobState.CANCELLED, reason=job.reason or said.detail)
        return ended, (Effect.CLOSE_CANCELLED,)
    if said.execution in (Execution.CLOSED, Execution.REJECTED):
        return _failed(job, said, now, plan)
    reached = {
        Execution.DOWNLOAD: JobState.DOWNLOADING,
        Execution.DOWNLOADED: JobState.INSTALLING,
    }.get(said.execution)
    return (job if reached is None else _forward(job, reached)), ()


def _succeeded(job: Job, now: datetime, plan: Plan) -> Step:
    closed = (Effect.CLOSE_SUCCESS,)
    if job.undo:
        return replace(job, state=JobState.ROLLED_BACK), closed
    done = replace(job, state=JobState.COMMITTED)
    if job.state is not JobState.CANCELING:
        return done, closed
    # It had committed before it heard of the stop.
    undone, _ = _undo(done, job.reason, now, plan)
    return undone, closed


def _failed(job: Job, said: Said, now: datetime, plan: Plan) -> Step:
    closed = (Effect.CLOSE_FAILURE,)
    if job.state is JobState.CANCELING:
        return replace(job, state=JobState.CANCELLED), closed
    # A device that rejects an update will reject it again.
    final = said.execution is Execution.REJECTED or job.attempt >= plan.retries.attempts
    if final:
        state = JobState.ROLLBACK_FAILED if job.undo else JobState.FAILED
        return replace(job, state=state, reason=said.detail), closed
    ready = now + plan.retries.pause_after(job.attempt)
    return replace(job, state=JobState.RETRYING, ready_at=ready, reason=said.detail), closed


def _reached(job: Job, phase: Phase) -> Job:
    state = {
        Phase.SELF_TEST: JobState.INSTALLING,
        Phase.SHADOW: JobState.SHADOW,
        Phase.TRIAL: JobState.TRIAL,
    }.get(phase)
    return job if state is None else _forward(job, state)


def _forward(job: Job, state: JobState) -> Job:
    """Only forward: what comes late or out of order tells nothing new."""
    if job.state not in _ORDER or _ORDER.index(state) <= _ORDER.index(job.state):
        return job
    return replace(job, state=state)


def _stop(job: Job, reason: str, now: datetime, plan: Plan) -> Step:
    if job.undo or job.ended or job.state is JobState.CANCELING:
        return job, ()
    if job.state in WITH_ACTION and job.fetched:
        deadline = now + plan.timing.cancel
        stopping = replace(job, state=JobState.CANCELING, deadline_at=deadline, reason=reason)
        return stopping, (Effect.ASK_CANCEL,)
    closed = (Effect.CLOSE_CANCELLED,) if job.state in WITH_ACTION else ()
    return replace(job, state=JobState.CANCELLED, ready_at=None, reason=reason), closed


def _undo(job: Job, reason: str, now: datetime, plan: Plan) -> Step:
    if job.state is not JobState.COMMITTED:
        return _stop(job, reason, now, plan)
    back = Job(
        state=JobState.QUEUED,
        undo=True,
        deadline_at=now + plan.timing.deadline,
        reason=reason,
    )
    return back, ()


def _tick(job: Job, now: datetime) -> Step:
    if job.ended or job.deadline_at is None or now < job.deadline_at:
        return job, ()
    if job.state is JobState.CANCELING:
        ended = replace(job, state=JobState.CANCELLED, reason=f"{job.reason}; not confirmed")
        return ended, (Effect.CLOSE_CANCELLED,)
    state = JobState.ROLLBACK_FAILED if job.undo else JobState.FAILED
    was = f"deadline passed while {job.state}"
    reason = f"{was}: {job.reason}" if job.reason else was
    closed = (Effect.CLOSE_EXPIRED,) if job.state in WITH_ACTION else ()
    return replace(job, state=state, ready_at=None, reason=reason[:500]), closed
