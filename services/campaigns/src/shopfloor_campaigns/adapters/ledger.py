"""Campaigns in SQL. Implements the ``Ledger`` port."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, and_, func, insert, select, update

from shopfloor_campaigns.adapters.bodies import STATE
from shopfloor_campaigns.adapters.desk import SqlDesk
from shopfloor_campaigns.adapters.devices import capabilities_of
from shopfloor_campaigns.adapters.memory import Memory
from shopfloor_campaigns.adapters.tables import CAMPAIGNS, DEVICES, JOBS, VERDICTS
from shopfloor_campaigns.domain.campaigns import (
    Campaign,
    Effect,
    Judged,
    Measured,
    OpenWave,
    Status,
    StopJobs,
    UndoWaves,
    WaveStatus,
    new_campaign,
)
from shopfloor_campaigns.domain.jobs import ENDED, JobState, Opened, StopAsked, UndoAsked
from shopfloor_campaigns.domain.plan import Plan
from shopfloor_campaigns.domain.waves import assign_waves
from shopfloor_campaigns.errors import ConflictError, UnknownError
from shopfloor_contracts.selectors import parse_selector
from shopfloor_kit.instants import to_ms

OnVerdict = Callable[[str, str], None]
_ENDED = [str(state) for state in ENDED]


class SqlLedger:
    """Campaigns within one transaction."""

    def __init__(self, connection: Connection, memory: Memory, on_verdict: OnVerdict) -> None:
        self._connection, self._on_verdict = connection, on_verdict
        self._plans, self._sums = memory.plans, memory.sums
        self.desk = SqlDesk(connection, memory)

    def create(self, plan: Plan, text: str, now: datetime) -> None:
        """Store a plan. Raises ``ConflictError`` when the name is taken."""
        taken = select(CAMPAIGNS.c.name).where(CAMPAIGNS.c.name == plan.name)
        if self._connection.execute(taken).first() is not None:
            raise ConflictError(f"a campaign {plan.name!r} exists; plans never change")
        campaign = new_campaign(plan)
        values = {
            "name": plan.name,
            "plan": text,
            "status": str(campaign.status),
            "state": STATE.dump_json(campaign).decode(),
            "priority": plan.priority,
            "unfit": 0,
            "version": 1,
            "matched_at": 0,
            "made_at": to_ms(now),
        }
        self._connection.execute(insert(CAMPAIGNS).values(values))

    def load(self, name: str) -> tuple[Campaign, Plan]:
        """Return state and plan."""
        found = select(CAMPAIGNS.c.state).where(CAMPAIGNS.c.name == name)
        text = self._connection.execute(found).scalar_one_or_none()
        if text is None:
            raise UnknownError(f"no campaign is named {name!r}")
        return STATE.validate_json(text), self._plans(self._connection, name)

    def save(self, name: str, campaign: Campaign, now: datetime) -> None:
        """Store the state; every change is a new version."""
        values = {
            "state": STATE.dump_json(campaign).decode(),
            "status": str(campaign.status),
            "version": CAMPAIGNS.c.version + 1,
        }
        if campaign.status is Status.RUNNING:
            values["started_at"] = func.coalesce(CAMPAIGNS.c.started_at, to_ms(now))
        self._connection.execute(update(CAMPAIGNS).where(CAMPAIGNS.c.name == name).values(values))

    def measure(self, name: str, campaign: Campaign) -> Measured | None:
        """Add up the current wave."""
        number = campaign.current
        if number is None:
            return None
        counts = select(JOBS.c.state, func.count().label("n")).group_by(JOBS.c.state)
        of_wave = counts.where(JOBS.c.campaign == name, JOBS.c.wave == number)
        tally = {row.state: row.n for row in self._connection.execute(of_wave)}
        ended = sum(tally.get(state, 0) for state in _ENDED)
        committed = tally.get(str(JobState.COMMITTED), 0)
        round_ = campaign.waves[number].round
        figures = self._sums.figures(self._connection, (name, number, round_))
        figures = replace(
            figures,
            devices=sum(tally.values()),
            succeeded=committed,
            failed=ended - committed,
        )
        return Measured(number, figures, ended)

    def carry_out(self, name: str, effects: Sequence[Effect], now: datetime) -> None:
        """Do what a step asks for."""
        of_campaign = JOBS.c.campaign == name
        for effect in effects:
            match effect:
                case Judged():
                    self._store(name, effect, now)
                case OpenWave():
                    self._open(name, effect.wave, now)
                case UndoWaves():
                    mine = and_(of_campaign, JOBS.c.wave.in_(effect.waves))
                    begun = JOBS.c.state != str(JobState.WAITING)
                    self.desk.tell_many(and_(mine, begun), UndoAsked(effect.reason), now)
                case StopJobs():
                    which: ColumnElement[bool] = JOBS.c.state.not_in(_ENDED)
                    if not effect.waiting:
                        which = and_(which, JOBS.c.state != str(JobState.WAITING))
                    self.desk.tell_many(and_(of_campaign, which), StopAsked(effect.reason), now)

    def going_back(self, name: str) -> int:
        """Return how many devices of a stopped campaign are still on their way back."""
        settled = [*_ENDED, str(JobState.WAITING)]
        moving = and_(JOBS.c.campaign == name, JOBS.c.state.not_in(settled))
        return int(self._connection.execute(select(func.count()).where(moving)).scalar_one())

    def match(self, name: str, now: datetime) -> int:
        """Give each matching device that has no job one; return how many matched.

        At the start they are spread over the waves; who comes later joins the last one.
        """
        row = self._connection.execute(select(CAMPAIGNS).where(CAMPAIGNS.c.name == name)).one()
        plan = self._plans(self._connection, name)
        first = row.matched_at == 0
        names, unfit = self._candidates(name, plan, since=row.matched_at)
        last = len(plan.waves) - 1
        waves = assign_waves(names, plan.waves, name) if first else dict.fromkeys(names, last)
        if waves:
            rows = [
                {"campaign": name, "device": device, "wave": wave} | _FRESH
                for device, wave in waves.items()
            ]
            self._connection.execute(insert(JOBS), rows)
        values = {"matched_at": to_ms(now)} | ({"unfit": unfit} if first else {})
        self._connection.execute(update(CAMPAIGNS).where(CAMPAIGNS.c.name == name).values(values))
        state, _ = self.load(name)
        if waves and not first and state.waves[last].status is WaveStatus.OPEN:
            self._tell_opened(name, last, now)
        return len(waves)

    def unknown_labels(self, name: str) -> list[str]:
        """Return the labels that a campaign's selector asks for and no device has."""
        selector = parse_selector(self._plans(self._connection, name).selector)
        asked = {term.key for term in selector.terms}
        if asked:
            for text in self._connection.execute(select(DEVICES.c.labels)).scalars():
                asked -= json.loads(text).keys()
                if not asked:
                    break
        return sorted(asked)

    def _candidates(self, name: str, plan: Plan, *, since: int) -> tuple[list[str], int]:
        selector = parse_selector(plan.selector)
        joined = DEVICES.outerjoin(
            JOBS, and_(JOBS.c.device == DEVICES.c.name, JOBS.c.campaign == name)
        )
        query = select(DEVICES).select_from(joined).where(JOBS.c.device.is_(None))
        found, unfit = [], 0
        for row in self._connection.execute(query.where(DEVICES.c.changed_at >= since)):
            if not selector.matches(json.loads(row.labels)):
                continue
            if plan.update.build_for(capabilities_of(row.attributes)) is None:
                unfit += 1
            else:
                found.append(row.name)
        return found, unfit

    def _open(self, name: str, wave: int, now: datetime) -> None:
        again = [s for s in _ENDED if s != str(JobState.COMMITTED)]
        taken_back = and_(JOBS.c.campaign == name, JOBS.c.wave == wave, JOBS.c.state.in_(again))
        self.desk.tell_many(taken_back, Opened(), now, afresh=True)
        self._tell_opened(name, wave, now)

    def _tell_opened(self, name: str, wave: int, now: datetime) -> None:
        waiting = JOBS.c.state == str(JobState.WAITING)
        which = and_(JOBS.c.campaign == name, JOBS.c.wave == wave, waiting)
        self.desk.tell_many(which, Opened(), now)

    def _store(self, name: str, judged: Judged, now: datetime) -> None:
        campaign, _ = self.load(name)
        values = asdict(judged.verdict) | {
            "campaign": name,
            "wave": judged.wave,
            "round": campaign.waves[judged.wave].round,
            "gate": str(judged.verdict.gate),
            "answer": str(judged.verdict.answer),
            "at": to_ms(now),
        }
        self._connection.execute(insert(VERDICTS).values(values))
        self._on_verdict(str(judged.verdict.gate), str(judged.verdict.answer))


_FRESH = {
    "state": str(JobState.WAITING),
    "attempt": 0,
    "undo": False,
    "fetched": False,
    "reason": "",
}
