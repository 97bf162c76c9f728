"""Answers to people's questions, read from SQL; takes no write lock."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import Any

from sqlalchemy import Engine, RowMapping, func, select

from shopfloor_campaigns.adapters.bodies import STATE
from shopfloor_campaigns.adapters.devices import attributes_of
from shopfloor_campaigns.adapters.tables import (
    ACTIONS,
    AUDIT,
    CAMPAIGNS,
    DEVICES,
    JOBS,
    STATUSES,
    VERDICTS,
)
from shopfloor_campaigns.domain.campaigns import Status
from shopfloor_campaigns.domain.jobs import JobState
from shopfloor_campaigns.errors import UnknownError
from shopfloor_kit.audit import Broken, Verified, verify
from shopfloor_kit.database import reading
from shopfloor_kit.instants import from_ms

Report = dict[str, Any]


class Reports:
    """Questions; every answer is plain JSON."""

    def __init__(self, engine: Engine) -> None:
        self._engine = reading(engine)

    def campaigns(self, after: str, limit: int) -> list[Report]:
        """Return campaigns by name, from after ``after`` on."""
        query = select(CAMPAIGNS).where(CAMPAIGNS.c.name > after)
        with self._engine.connect() as connection:
            rows = connection.execute(query.order_by(CAMPAIGNS.c.name).limit(limit))
            return [_head(row) for row in rows.mappings()]

    def campaign(self, name: str) -> Report:
        """Return one campaign with waves, tallies and verdicts. Raises ``UnknownError``."""
        with self._engine.connect() as connection:
            found = select(CAMPAIGNS).where(CAMPAIGNS.c.name == name)
            row = connection.execute(found).mappings().first()
            if row is None:
                raise UnknownError(f"no campaign is named {name!r}")
            counts = select(JOBS.c.wave, JOBS.c.state, func.count().label("n"))
            counts = counts.where(JOBS.c.campaign == name).group_by(JOBS.c.wave, JOBS.c.state)
            tallies: dict[int, dict[str, int]] = defaultdict(dict)
            for tally in connection.execute(counts):
                tallies[tally.wave][tally.state] = tally.n
            told = select(VERDICTS).where(VERDICTS.c.campaign == name).order_by(VERDICTS.c.id)
            verdicts = [_timed(v, "at") for v in connection.execute(told).mappings()]
        state = STATE.validate_json(row["state"])
        waves = [
            {
                "number": number + 1,
                "status": str(wave.status),
                "round": wave.round,
                "opened_at": wave.opened_at,
                "completed_at": wave.completed_at,
                "decided_at": wave.decided_at,
                "devices": tallies[number],
                "verdicts": [
                    {key: value for key, value in v.items() if key not in _INNER}
                    for v in verdicts
                    if v["wave"] == number
                ],
            }
            for number, wave in enumerate(state.waves)
        ]
        plan = json.loads(row["plan"])
        return _head(row) | {"unfit": row["unfit"], "plan": plan, "waves": waves}

    def campaign_devices(self, name: str, after: str, limit: int) -> list[Report]:
        """Return a campaign's devices by name; one that waits for another campaign says so."""
        holder = ACTIONS.alias()
        query = (
            select(JOBS, holder.c.campaign.label("held_by"))
            .join(DEVICES, DEVICES.c.name == JOBS.c.device)
            .outerjoin(holder, holder.c.id == DEVICES.c.open_action)
            .where(JOBS.c.campaign == name, JOBS.c.device > after)
            .order_by(JOBS.c.device)
            .limit(limit)
        )
        with self._engine.connect() as connection:
            rows = connection.execute(query).mappings().all()
        return [_job(row) for row in rows]

    def history(self, name: str, device: str) -> list[Report]:
        """Return every status that a device gave in a campaign, in the order of arrival."""
        query = (
            select(STATUSES)
            .join(ACTIONS, ACTIONS.c.id == STATUSES.c.action)
            .where(ACTIONS.c.campaign == name, ACTIONS.c.device == device)
            .order_by(STATUSES.c.id)
        )
        with self._engine.connect() as connection:
            rows = connection.execute(query).mappings().all()
        return [
            _timed({k: v for k, v in r.items() if k not in ("id", "digest")}, "at") for r in rows
        ]

    def devices(self, after: str, limit: int) -> list[Report]:
        """Return devices by name, from after ``after`` on."""
        query = select(DEVICES).where(DEVICES.c.name > after).order_by(DEVICES.c.name)
        with self._engine.connect() as connection:
            rows = connection.execute(query.limit(limit)).mappings().all()
        return [
            {
                "name": row["name"],
                "labels": json.loads(row["labels"]),
                "attributes": attributes_of(row["attributes"]),
                "time_zone": row["time_zone"],
                "open_action": row["open_action"],
                "last_seen_at": from_ms(row["last_seen_at"]),
            }
            for row in rows
        ]

    def tally(self) -> dict[tuple[str, int, str], int]:
        """Count devices of campaigns that have not ended, for the metrics."""
        ended = [str(Status.DONE), str(Status.ABORTED)]
        query = (
            select(JOBS.c.campaign, JOBS.c.wave, JOBS.c.state, func.count().label("n"))
            .join(CAMPAIGNS, CAMPAIGNS.c.name == JOBS.c.campaign)
            .where(CAMPAIGNS.c.status.not_in(ended))
            .group_by(JOBS.c.campaign, JOBS.c.wave, JOBS.c.state)
        )
        with self._engine.connect() as connection:
            found = connection.execute(query)
            return {(row.campaign, row.wave + 1, row.state): row.n for row in found}

    def statuses(self) -> dict[str, str]:
        """Return the status of every campaign that has not ended, for the metrics."""
        ended = [str(Status.DONE), str(Status.ABORTED)]
        query = select(CAMPAIGNS.c.name, CAMPAIGNS.c.status)
        with self._engine.connect() as connection:
            found = connection.execute(query.where(CAMPAIGNS.c.status.not_in(ended)))
            return {row.name: row.status for row in found}

    def audit(self, after: int, limit: int) -> list[Report]:
        """Return the audit log's entries after number ``after``."""
        query = select(AUDIT).where(AUDIT.c.number > after).order_by(AUDIT.c.number).limit(limit)
        with self._engine.connect() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]

    def verify_audit(self) -> Verified | Broken:
        """Walk the whole chain."""
        with self._engine.connect() as connection:
            return verify(connection, AUDIT)


_INNER = ("id", "campaign", "wave")


def _head(row: RowMapping) -> Report:
    state = STATE.validate_json(row["state"])
    current = state.current
    return {
        "name": row["name"],
        "status": row["status"],
        "reason": state.reason,
        "wave": None if current is None else current + 1,
        "of": len(state.waves),
        "priority": row["priority"],
        "version": row["version"],
        "made_at": from_ms(row["made_at"]),
        "started_at": from_ms(row["started_at"]),
    }


def _job(row: RowMapping) -> Report:
    waits = row["state"] in (JobState.QUEUED, JobState.RETRYING)
    held_by = row["held_by"] if waits and row["held_by"] != row["campaign"] else None
    return {
        "device": row["device"],
        "wave": row["wave"] + 1,
        "state": row["state"],
        "undo": row["undo"],
        "attempt": row["attempt"],
        "action": row["action"],
        "reason": row["reason"],
        "waits_for": held_by,
        "deadline_at": from_ms(row["deadline_at"]),
        "ended_at": from_ms(row["ended_at"]),
    }


def _timed(row: Any, *names: str) -> Report:
    return dict(row) | {name: from_ms(row[name]) for name in names}
