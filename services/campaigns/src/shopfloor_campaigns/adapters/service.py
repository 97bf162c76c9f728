"""Everything that is written, as work for the writer; and what it does by itself."""

from __future__ import annotations

import hashlib
import json
import logging
import threading
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Engine, bindparam, select

from shopfloor_campaigns.adapters.desk import SqlDesk
from shopfloor_campaigns.adapters.devices import Sightings, put_attributes, put_devices
from shopfloor_campaigns.adapters.dialects import upsert
from shopfloor_campaigns.adapters.figures import take_evidence, take_observation
from shopfloor_campaigns.adapters.ledger import SqlLedger
from shopfloor_campaigns.adapters.memory import Memory
from shopfloor_campaigns.adapters.metrics import CampaignMeter
from shopfloor_campaigns.adapters.tables import ACTIONS, AUDIT, CAMPAIGNS, JOBS, STATUSES
from shopfloor_campaigns.domain.campaigns import Campaign, Event, Resumed, Started, Status
from shopfloor_campaigns.domain.jobs import CancelSaid, Fetched, Reached, Said
from shopfloor_campaigns.domain.plan import Plan
from shopfloor_campaigns.errors import ConflictError, UnknownError
from shopfloor_campaigns.usecases import decide, order, tell
from shopfloor_contracts.ddi import ConfigData, Execution, Feedback, Finished
from shopfloor_contracts.evidence import Evidence
from shopfloor_kit.audit import append
from shopfloor_kit.instants import to_ms

log = logging.getLogger(__name__)

ROUND_S, SEEN_S = 1.0, 5.0
"""How often every running campaign is looked at, and sightings are written."""
DECIDE_S = 0.1
"""Least pause between two looks at a campaign that devices report to."""
Now = Callable[[], datetime]


class Service:
    """What requests want done; each method runs in the writer's transaction.

    Implements the writer's ``Chores`` too: decide, dispatch, end what is late.
    """

    def __init__(self, engine: Engine, meter: CampaignMeter, now: Now) -> None:
        self._engine, self._meter, self._now = engine, meter, now
        self.memory, self.sightings = Memory(), Sightings()
        self._touched: set[str] = set()
        self._undispatched = True
        self._rounded_s = self._decided_s = self._seen_s = float("-inf")
        self._changes, self._changed = 0, threading.Condition()

    def feedback(self, connection: Connection, device: str, action: int, said: Feedback) -> None:
        """Keep a status, and move the job on while its action is open."""
        row = _action(connection, device, action)
        late = row.closed_at is not None
        if _keep(connection, action, "deployment", said, late=late, now=self._now()) and not late:
            status = said.status
            detail = " ".join(status.details)[-500:]
            event = Said(status.execution, status.result.finished, detail)
            self._tell(connection, row, event)

    def cancel_feedback(
        self, connection: Connection, device: str, action: int, said: Feedback
    ) -> None:
        """Keep what a device says of being told to stop."""
        row = _action(connection, device, action)
        late = row.closed_at is not None
        if _keep(connection, action, "cancel", said, late=late, now=self._now()) and not late:
            status = said.status
            if status.execution is Execution.REJECTED:
                self._tell(connection, row, CancelSaid(stopped=False))
            elif status.execution in (Execution.CLOSED, Execution.CANCELED):
                # hawkBit's clients close a cancel action with success when they have stopped.
                stopped = status.result.finished is not Finished.FAILURE
                self._tell(connection, row, CancelSaid(stopped=stopped))

    def fetched(self, connection: Connection, device: str, action: int) -> None:
        """Note that a device knows its action: from now on only it can say that it stopped."""
        row = _action(connection, device, action)
        if row.closed_at is None:
            self._tell(connection, row, Fetched())

    def evidence(self, connection: Connection, device: str, action: int, report: Evidence) -> bool:
        """Sum a report once; return whether it was new."""
        row = _action(connection, device, action)
        if not take_evidence(connection, self.memory.sums, row, report, self._now()):
            return False
        if row.closed_at is None:
            tell(SqlDesk(connection, self.memory), action, Reached(report.phase), self._now())
        self._touched.add(row.campaign)
        return True

    def attributes(self, connection: Connection, device: str, said: ConfigData) -> None:
        """Take in what a device says of itself."""
        put_attributes(connection, device, said.mode, said.data, self._now())
        self.memory.doors.change(device)

    def observation(
        self, connection: Connection, campaign: str, observation: Mapping[str, Any], by: str
    ) -> bool:
        """Sum what people found at a device; return whether it was new."""
        mine = (JOBS.c.campaign == campaign, JOBS.c.device == observation["device"])
        job = connection.execute(select(JOBS).where(*mine)).first()
        if job is None:
            raise UnknownError(f"{campaign}: device {observation['device']!r} is not part of it")
        state, _ = self._ledger(connection).load(campaign)
        of = {
            "campaign": campaign,
            "wave": job.wave,
            "device": job.device,
            "round": state.waves[job.wave].round,
        }
        self._touched.add(campaign)
        kept = {**observation, "by": by, "body": json.dumps(observation["figures"])}
        return take_observation(connection, self.memory.sums, of, kept, self._now())

    def devices(
        self, connection: Connection, wanted: list[dict[str, Any]], actor: str
    ) -> dict[str, str]:
        """Create or change devices."""
        tokens = put_devices(connection, wanted, self._now())
        for device in wanted:
            self.memory.doors.change(device["name"])
        subject = wanted[0]["name"] if len(wanted) == 1 else f"{len(wanted)} devices"
        self._audit(connection, actor, "put devices", subject, {"tokens": len(tokens)})
        return tokens

    def create(self, connection: Connection, plan: Plan, text: str, actor: str) -> None:
        """Store a campaign."""
        self._ledger(connection).create(plan, text, self._now())
        digest = hashlib.sha256(text.encode()).hexdigest()
        self._audit(connection, actor, "create", plan.name, {"plan_sha256": digest})
        self._wake()

    def order(
        self, connection: Connection, name: str, event: Event, actor: str, reason: str = ""
    ) -> Campaign:
        """Do what a person asks for, in this transaction; ``reason`` is for the audit log."""
        # A refusal leaves no trace, whatever was matched before it.
        with connection.begin_nested():
            ledger = self._ledger(connection)
            before, _ = ledger.load(name)
            self._check(ledger, name, before, event)
            after = order(ledger, name, event, self._now())
            action = type(event).__name__.lower()
            detail = {"from": str(before.status), "to": str(after.status)}
            detail |= {"reason": getattr(event, "reason", "") or reason}
            self._audit(connection, actor, action, name, detail)
        self._touched.add(name)
        self._undispatched = True
        self._wake()
        return after

    def do(self) -> None:
        """Decide, dispatch, end what is late; called by the writer after each batch."""
        now_s = time.monotonic()
        rounding = now_s - self._rounded_s >= ROUND_S
        deciding = bool(self._touched) and now_s - self._decided_s >= DECIDE_S
        if not (rounding or deciding or self._undispatched):
            return
        with self.memory.writing(self._engine) as connection:
            if now_s - self._seen_s >= SEEN_S:
                self.sightings.write(connection)
                self._seen_s = now_s
            if rounding:
                self._round(connection)
                self._rounded_s = now_s
            self._decide(connection)
            desk = self._ledger(connection).desk
            lost = desk.dispatch(self._now())
            self._undispatched = bool(lost) or desk.full
            self._touched |= lost
        self._decided_s = time.monotonic()

    def changes(self) -> int:
        """Return a number that goes up whenever a campaign changes."""
        return self._changes

    def _round(self, connection: Connection) -> None:
        ledger = self._ledger(connection)
        self._touched |= ledger.desk.end_late(self._now())
        going = CAMPAIGNS.c.status.in_([str(Status.RUNNING), str(Status.PAUSED)])
        for name in connection.execute(select(CAMPAIGNS.c.name).where(going)).scalars().all():
            ledger.match(name, self._now())
            self._touched.add(name)

    def _decide(self, connection: Connection) -> None:
        ledger = self._ledger(connection)
        touched, self._touched = self._touched, set()
        for name in sorted(touched):
            before, _ = ledger.load(name)
            after = decide(ledger, name, self._now())
            if after != before:
                self._wake()
            if after.status is not before.status:
                log.info(
                    "campaign moved on",
                    extra={"campaign": name, "status": after.status, "reason": after.reason},
                )
                detail = {"from": str(before.status), "to": str(after.status)}
                self._audit(connection, "campaigns", "decide", name, detail)

    def _check(self, ledger: SqlLedger, name: str, before: Campaign, event: Event) -> None:
        if isinstance(event, Started) and before.status in (Status.DRAFT, Status.APPROVED):
            matched = ledger.match(name, self._now())
            # `regoin!=emea` would mean everybody.
            strange = ledger.unknown_labels(name)
            if strange:
                raise ConflictError(f"{name}: no device has a label {strange[0]!r}")
            if matched == 0:
                raise ConflictError(f"{name}: the selector and the hardware match no device")
        if isinstance(event, Resumed) and before.status is Status.STOPPED:
            moving = ledger.going_back(name)
            if moving:
                raise ConflictError(f"{name}: {moving} devices are still on their way back")

    def _tell(self, connection: Connection, row: Any, event: Any) -> None:
        before = row.state
        job = tell(SqlDesk(connection, self.memory), row.id, event, self._now())
        if job.ended or event.__class__ is not Fetched:
            self._touched.add(row.campaign)
        self._undispatched |= job.ended or before != "open"
        if job.ended:
            self._meter.ended(row.campaign, str(job.state))

    def _ledger(self, connection: Connection) -> SqlLedger:
        return SqlLedger(connection, self.memory, self._meter.verdict)

    def _audit(
        self, connection: Connection, actor: str, action: str, subject: str, detail: Any
    ) -> None:
        append(
            connection,
            AUDIT,
            actor=actor,
            action=action,
            subject=subject,
            detail=detail,
            at=self._now(),
        )

    def _wake(self) -> None:
        self._changes += 1


_ACTION = select(ACTIONS).where(
    ACTIONS.c.id == bindparam("the_id"), ACTIONS.c.device == bindparam("the_device")
)


@lru_cache(maxsize=2)
def _once(backend: str) -> Any:
    return upsert(backend, STATUSES).on_conflict_do_nothing().returning(STATUSES.c.id)


def _action(connection: Connection, device: str, action: int) -> Any:
    row = connection.execute(_ACTION, {"the_id": action, "the_device": device}).first()
    if row is None:
        raise UnknownError(f"device {device!r} has no action {action}")
    return row


def _keep(
    connection: Connection, action: int, about: str, said: Feedback, *, late: bool, now: datetime
) -> bool:
    """Add to the history; return False for what was said in the same words before."""
    body = said.model_dump_json()
    row = {
        "action": action,
        "digest": hashlib.sha256(f"{about}:{body}".encode()).hexdigest(),
        "about": about,
        "execution": str(said.status.execution),
        "finished": str(said.status.result.finished),
        "detail": " ".join(said.status.details)[:2000],
        "late": late,
        "at": to_ms(now),
    }
    return connection.execute(_once(connection.dialect.name), row).first() is not None
