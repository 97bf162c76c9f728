"""Evidence in SQL: each report once, summed per device; a wave's figures are sums of those."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, func, select, update

from shopfloor_campaigns.adapters.dialects import upsert
from shopfloor_campaigns.adapters.instants import to_ms
from shopfloor_campaigns.adapters.tables import (
    EVIDENCE,
    FIGURES,
    HISTOGRAMS,
    JOBS,
    OBSERVATIONS,
    SUMMED,
)
from shopfloor_campaigns.domain.gates import Figures
from shopfloor_campaigns.domain.intervals import Clusters
from shopfloor_contracts.evidence import Evidence

_OLD = FIGURES.c.agreed + FIGURES.c.only_old
_MORE = FIGURES.c.only_new - FIGURES.c.only_old
_SUMS = [
    func.coalesce(func.sum(FIGURES.c[name]), 0).label(name) for name in ("observed_s", *SUMMED)
]
_CLUSTERS = [
    func.count().filter(_OLD > 0).label("k"),
    # As floats: sums of squares of a large fleet would leave a bigint.
    func.coalesce(func.sum(1.0 * _MORE * _MORE), 0).label("dd"),
    func.coalesce(func.sum(1.0 * _MORE * _OLD), 0).label("db"),
    func.coalesce(func.sum(1.0 * _OLD * _OLD), 0).label("bb"),
    func.coalesce(func.sum(1.0 * _OLD), 0).label("b"),
]


def take_evidence(
    connection: Connection, action: Row[Any], report: Evidence, now: datetime
) -> bool:
    """Store and sum a report; return False for one that is here already."""
    row = {"action": action.id, "seq": report.seq, "body": report.model_dump_json()}
    new = upsert(connection, EVIDENCE).values(row | {"at": to_ms(now)}).on_conflict_do_nothing()
    if connection.execute(new.returning(EVIDENCE.c.seq)).first() is None:
        return False
    if report.base is not None and not action.undo:
        of_job = (JOBS.c.campaign == action.campaign, JOBS.c.device == action.device)
        connection.execute(update(JOBS).where(*of_job).values(base=report.base))
    if not action.undo:
        add_figures(connection, dict(action._mapping), summed(report), report.observed_s)  # noqa: SLF001
    return True


def take_observation(
    connection: Connection, job: Mapping[str, Any], observation: Mapping[str, Any], now: datetime
) -> bool:
    """Store and sum what people found at a device; return False for one that is here already."""
    row = {key: observation[key] for key in ("id", "body", "by")}
    row |= {"campaign": job["campaign"], "device": job["device"], "at": to_ms(now)}
    new = upsert(connection, OBSERVATIONS).values(row).on_conflict_do_nothing()
    if connection.execute(new.returning(OBSERVATIONS.c.id)).first() is None:
        return False
    add_figures(connection, job, observation["figures"], 0.0)
    return True


def add_figures(
    connection: Connection, of: Mapping[str, Any], figures: Mapping[str, int], observed_s: float
) -> None:
    """Add to a device's sums in its round of its wave."""
    keys = {key: of[key] for key in ("campaign", "wave", "round", "device")}
    values = {name: figures.get(name, 0) for name in SUMMED} | {"observed_s": observed_s}
    statement = upsert(connection, FIGURES).values(keys | values)
    more = {
        name: FIGURES.c[name] + statement.excluded[name] for name, value in values.items() if value
    }
    if more:
        statement = statement.on_conflict_do_update(index_elements=list(keys), set_=more)
    else:
        statement = statement.on_conflict_do_nothing()
    connection.execute(statement)


def summed(report: Evidence) -> dict[str, int]:
    """Return a report as what is summed."""
    found = {
        "crashes": report.crashes,
        "agreed": sum(pair.agreed for pair in report.counts),
        "only_old": sum(pair.only_old for pair in report.counts),
        "only_new": sum(pair.only_new for pair in report.counts),
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


def wave_figures(connection: Connection, campaign: str, wave: int, round_: int) -> Figures:
    """Add up a wave; devices that ended are not counted here."""
    query = select(*_SUMS, *_CLUSTERS).where(
        FIGURES.c.campaign == campaign, FIGURES.c.wave == wave, FIGURES.c.round == round_
    )
    row = connection.execute(query).one()._mapping  # noqa: SLF001
    histograms: dict[str, Any] = {
        name: tuple(int(row[f"{name}_{bucket}"]) for bucket in range(size))
        for name, size in HISTOGRAMS.items()
    }
    plain: dict[str, Any] = {
        name: int(row[name]) for name in SUMMED if name in Figures.__dataclass_fields__
    }
    return Figures(
        observed_s=float(row["observed_s"]),
        clusters=Clusters(
            int(row["k"]),
            *(float(row[name]) for name in ("dd", "db", "bb", "b")),
        ),
        **plain,
        **histograms,
    )
