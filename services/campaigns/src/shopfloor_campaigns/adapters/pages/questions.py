"""What the console asks of SQL beside the reports; takes no write lock."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, Row, func, select

from shopfloor_campaigns.adapters.devices import attributes_of, capabilities_of
from shopfloor_campaigns.adapters.tables import (
    ACTIONS,
    AUDIT,
    CAMPAIGNS,
    DEVICES,
    JOBS,
    STATUSES,
)
from shopfloor_campaigns.domain.jobs import ENDED, JobState
from shopfloor_campaigns.domain.plan import ANY_HARDWARE
from shopfloor_campaigns.errors import UnknownError
from shopfloor_contracts.selectors import Selector
from shopfloor_kit.database import reading
from shopfloor_kit.instants import from_ms

CHUNK = 500
"""Devices that are looked at in one query; SQLite takes a bounded number of parameters."""
_RUNS = [str(JobState.COMMITTED), str(JobState.ROLLED_BACK)]


@dataclass(frozen=True, slots=True)
class Runs:
    """What a device runs, by what it last reported in a campaign."""

    model: str
    version: str
    digest: str
    campaign: str
    at: datetime | None


@dataclass(frozen=True, slots=True)
class Device:
    """One device as the pages show it. ``runs`` and ``job`` are None when nothing is known."""

    name: str
    labels: dict[str, str]
    attributes: dict[str, str]
    time_zone: str
    last_seen_at: datetime | None
    runs: Runs | None
    job: tuple[str, str] | None
    """Campaign and state of the job that has not ended."""


@dataclass(frozen=True, slots=True)
class Match:
    """How many devices a query names; ``unfit`` of them cannot run the build."""

    matched: int
    unfit: int
    total: int


class Questions:
    """Every answer is read in one transaction."""

    def __init__(self, engine: Engine) -> None:
        self._engine = reading(engine)

    def devices(
        self, selector: Selector, text: str, state: str, after: str, limit: int
    ) -> list[Device]:
        """Return devices by name from after ``after`` on, at most ``limit`` + 1.

        Args:
            text: part of the name.
            state: ``updating``, ``idle``, ``new`` (never updated here), or all.
        """
        found: list[Device] = []
        with self._engine.connect() as connection:
            for rows in _chunks(connection, after, text):
                labelled = [row for row in rows if selector.matches(json.loads(row.labels))]
                known = _known(connection, labelled)
                found.extend(device for device in known if _is_in(device, state))
                if len(found) > limit:
                    break
        return found[: limit + 1]

    def device(self, name: str) -> Device:
        """Return one device. Raises ``UnknownError``."""
        with self._engine.connect() as connection:
            row = connection.execute(select(DEVICES).where(DEVICES.c.name == name)).first()
            if row is None:
                raise UnknownError(f"no device is named {name!r}")
            return _known(connection, [row])[0]

    def jobs_of(self, name: str) -> list[dict[str, Any]]:
        """Return a device's part in each campaign, the newest campaign first, with what it said."""
        mine = select(JOBS, CAMPAIGNS.c.started_at).join(
            CAMPAIGNS, CAMPAIGNS.c.name == JOBS.c.campaign
        )
        mine = mine.where(JOBS.c.device == name).order_by(CAMPAIGNS.c.made_at.desc())
        told = select(STATUSES, ACTIONS.c.campaign, ACTIONS.c.undo)
        told = told.join(ACTIONS, ACTIONS.c.id == STATUSES.c.action)
        told = told.where(ACTIONS.c.device == name).order_by(STATUSES.c.id.desc()).limit(500)
        said: dict[str, list[dict[str, Any]]] = defaultdict(list)
        with self._engine.connect() as connection:
            for row in connection.execute(told).mappings():
                said[row["campaign"]].append(dict(row) | {"at": from_ms(row["at"])})
            jobs = connection.execute(mine.limit(50)).mappings().all()
        return [
            dict(job) | {"ended_at": from_ms(job["ended_at"]), "said": said[job["campaign"]]}
            for job in jobs
        ]

    def of_wave(
        self, campaign: str, wave: int, states: Iterable[str], after: str, limit: int
    ) -> list[dict[str, Any]]:
        """Return the jobs of a wave (from 0) by device; no states mean all; ``limit`` + 1."""
        query = select(JOBS).where(JOBS.c.campaign == campaign, JOBS.c.wave == wave)
        query = query.where(JOBS.c.device > after).order_by(JOBS.c.device).limit(limit + 1)
        if states := list(states):
            query = query.where(JOBS.c.state.in_(states))
        with self._engine.connect() as connection:
            rows = connection.execute(query).mappings().all()
        return [dict(row) | {"ended_at": from_ms(row["ended_at"])} for row in rows]

    def models(self) -> list[tuple[Runs, int]]:
        """Return each digest that a device runs and on how many; the most frequent first."""
        counted: Counter[tuple[str, str, str]] = Counter()
        seen: dict[tuple[str, str, str], Runs] = {}
        with self._engine.connect() as connection:
            for runs in _running(connection, None).values():
                key = (runs.model, runs.version, runs.digest)
                counted[key] += 1
                seen[key] = runs
        return [(seen[key], number) for key, number in counted.most_common()]

    def how_many(self) -> int:
        """Count all devices."""
        with self._engine.connect() as connection:
            return int(connection.execute(select(func.count()).select_from(DEVICES)).scalar_one())

    def match(self, selector: Selector, hardware: set[str]) -> Match:
        """Count devices that a plan would take; no hardware fits every device."""
        matched = unfit = total = 0
        with self._engine.connect() as connection:
            for row in connection.execute(select(DEVICES.c.labels, DEVICES.c.attributes)):
                total += 1
                if selector.matches(json.loads(row.labels)):
                    matched += 1
                    free = not hardware or ANY_HARDWARE in hardware
                    unfit += not free and hardware.isdisjoint(capabilities_of(row.attributes))
        return Match(matched, unfit, total)

    def audit(
        self, before: int | None, limit: int, subject: str | None = None
    ) -> list[dict[str, Any]]:
        """Return the newest entries below number ``before``, at most ``limit`` + 1."""
        query = select(AUDIT).order_by(AUDIT.c.number.desc()).limit(limit + 1)
        query = query if before is None else query.where(AUDIT.c.number < before)
        query = query if subject is None else query.where(AUDIT.c.subject == subject)
        with self._engine.connect() as connection:
            rows = connection.execute(query).mappings().all()
        return [
            dict(row)
            | {"at": datetime.fromisoformat(row["at"]), "detail": json.loads(row["detail"])}
            for row in rows
        ]


def _chunks(connection: Connection, after: str, text: str) -> Iterator[list[Row[Any]]]:
    while True:
        query = select(DEVICES).where(DEVICES.c.name > after).order_by(DEVICES.c.name)
        if text:
            query = query.where(DEVICES.c.name.contains(text, autoescape=True))
        rows = list(connection.execute(query.limit(CHUNK)))
        if rows:
            yield rows
        if len(rows) < CHUNK:
            return
        after = rows[-1].name


def _known(connection: Connection, rows: list[Row[Any]]) -> list[Device]:
    names = [row.name for row in rows]
    running = _running(connection, names)
    going = select(JOBS.c.device, JOBS.c.campaign, JOBS.c.state).where(
        JOBS.c.device.in_(names),
        JOBS.c.state.not_in([str(state) for state in ENDED] + [str(JobState.WAITING)]),
    )
    # Of several the one that has the action is told: it is what the device does now.
    jobs = {
        row.device: (row.campaign, row.state)
        for row in connection.execute(going.order_by(JOBS.c.action.is_not(None)))
    }
    return [
        Device(
            name=row.name,
            labels=json.loads(row.labels),
            attributes=attributes_of(row.attributes),
            time_zone=row.time_zone,
            last_seen_at=from_ms(row.last_seen_at),
            runs=running.get(row.name),
            job=jobs.get(row.name),
        )
        for row in rows
    ]


def _running(connection: Connection, names: list[str] | None) -> dict[str, Runs]:
    """Return what devices run: the last thing that they committed to or went back to."""
    ended = select(JOBS).where(JOBS.c.state.in_(_RUNS)).order_by(JOBS.c.ended_at)
    installs = select(ACTIONS.c.device, ACTIONS.c.campaign, ACTIONS.c.build)
    installs = installs.where(ACTIONS.c.undo.is_(False)).order_by(ACTIONS.c.id)
    if names is not None:
        ended = ended.where(JOBS.c.device.in_(names))
        installs = installs.where(ACTIONS.c.device.in_(names))
    last = {row.device: row for row in connection.execute(ended)}
    paths = {(row.device, row.campaign): row.build for row in connection.execute(installs)}
    plans = _plans(connection, {row.campaign for row in last.values()})
    known = {
        build["sha256"]: (update["name"], update["version"])
        for plan in plans.values()
        for update in (plan["update"], plan.get("base"))
        if update
        for build in update["builds"]
    }
    return {
        device: _runs(row, plans[row.campaign], paths.get((device, row.campaign), ""), known)
        for device, row in last.items()
    }


def _runs(
    job: Row[Any], plan: dict[str, Any], path: str, known: dict[str, tuple[str, str]]
) -> Runs:
    at = from_ms(job.ended_at)
    if job.state == JobState.COMMITTED:
        update = plan["update"]
        digests = {build["path"]: build["sha256"] for build in update["builds"]}
        found = digests.get(path, update["builds"][0]["sha256"])
        return Runs(update["name"], update["version"], found, job.campaign, at)
    base = plan.get("base")
    digest = job.base or (base["builds"][0]["sha256"] if base else "")
    model, version = known.get(digest, ("unnamed", ""))
    return Runs(model, version, digest, job.campaign, at)


def _plans(connection: Connection, names: set[str]) -> dict[str, dict[str, Any]]:
    query = select(CAMPAIGNS.c.name, CAMPAIGNS.c.plan).where(CAMPAIGNS.c.name.in_(names))
    return {row.name: json.loads(row.plan) for row in connection.execute(query)}


def _is_in(device: Device, state: str) -> bool:
    if state == "updating":
        return device.job is not None
    if state == "idle":
        return device.job is None and device.runs is not None
    return state != "new" or (device.job is None and device.runs is None)
