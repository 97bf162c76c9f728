"""Evidence in SQL: each report once, summed per device."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Row, bindparam, update

from shopfloor_campaigns.adapters.dialects import upsert
from shopfloor_campaigns.adapters.sums import WaveSums
from shopfloor_campaigns.adapters.tables import EVIDENCE, FIGURES, JOBS, OBSERVATIONS, SUMMED
from shopfloor_contracts.evidence import Evidence
from shopfloor_kit.instants import to_ms

_KEYS = ("campaign", "wave", "round", "device")


@lru_cache(maxsize=2)
def _once(backend: str) -> Any:
    return upsert(backend, EVIDENCE).on_conflict_do_nothing().returning(EVIDENCE.c.seq)


@lru_cache(maxsize=2)
def _add(backend: str) -> Any:
    # One text for every report, so that it is compiled once.
    statement = upsert(backend, FIGURES)
    more = {name: FIGURES.c[name] + statement.excluded[name] for name in ("observed_s", *SUMMED)}
    statement = statement.on_conflict_do_update(index_elements=list(_KEYS), set_=more)
    return statement.returning(FIGURES.c.agreed, FIGURES.c.only_old, FIGURES.c.only_new)


_SET_BASE = (
    update(JOBS)
    .where(JOBS.c.campaign == bindparam("the_campaign"), JOBS.c.device == bindparam("the_device"))
    .values(base=bindparam("new_base"))
)


def take_evidence(
    connection: Connection, sums: WaveSums, action: Row[Any], report: Evidence, now: datetime
) -> bool:
    """Store and sum a report; return False for one that is here already."""
    row = {"action": action.id, "seq": report.seq, "body": report.model_dump_json()}
    row |= {"at": to_ms(now)}
    if connection.execute(_once(connection.dialect.name), row).first() is None:
        return False
    if action.undo:
        return True
    if report.base is not None:
        of_job = {"the_campaign": action.campaign, "the_device": action.device}
        connection.execute(_SET_BASE, of_job | {"new_base": report.base})
    of = {key: getattr(action, key) for key in _KEYS}
    add_figures(connection, sums, of, {"observed_s": report.observed_s, **summed(report)})
    return True


def take_observation(
    connection: Connection,
    sums: WaveSums,
    job: Mapping[str, Any],
    observation: Mapping[str, Any],
    now: datetime,
) -> bool:
    """Store and sum what people found at a device; return False for one that is here already."""
    row = {key: observation[key] for key in ("id", "body", "by")}
    row |= {"campaign": job["campaign"], "device": job["device"], "at": to_ms(now)}
    new = upsert(connection.dialect.name, OBSERVATIONS).values(row).on_conflict_do_nothing()
    if connection.execute(new.returning(OBSERVATIONS.c.id)).first() is None:
        return False
    add_figures(connection, sums, job, observation["figures"])
    return True


def add_figures(
    connection: Connection, sums: WaveSums, of: Mapping[str, Any], figures: Mapping[str, float]
) -> None:
    """Add to a device's sums in its round of its wave, and to the wave's."""
    values: dict[str, float] = dict.fromkeys(("observed_s", *SUMMED), 0)
    values.update(figures)
    row = connection.execute(
        _add(connection.dialect.name), {key: of[key] for key in _KEYS} | values
    ).one()
    sums.add((of["campaign"], of["wave"], of["round"]), figures, tuple(row))


def summed(report: Evidence) -> dict[str, int]:
    """Return a report as what is summed."""
    found = {
        "crashes": report.crashes,
        "agreed": sum(pair.agreed for pair in report.counts),
        "only_old": sum(pair.only_old for pair in report.counts),
        "only_new": sum(pair.only_new for pair in report.counts),
        "alerts_right": report.alerts_right,
        "alerts_wrong": report.alerts_wrong,
        "audit_agreed": report.audit_agreed,
        "audit_missed": report.audit_missed,
        "audit_extra": report.audit_false,
    }
    new, old = report.new, report.old
    histograms = {
        "new_ms": None if new is None else new.inference_histogram,
        "new_scores": None if new is None else new.score_histogram,
        "old_scores": None if old is None else old.score_histogram,
    }
    for name, counts in histograms.items():
        found |= {f"{name}_{bucket}": count for bucket, count in enumerate(counts or ())}
    return found
