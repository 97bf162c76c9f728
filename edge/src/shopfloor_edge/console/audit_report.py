"""The report of a subject's audits for the customer, as data: no picture, and nobody's name."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from shopfloor_edge.console.audits import UNSURE, AuditRoom, score_of
from shopfloor_edge.journal.audits import Audit, Shown


def report_of(room: AuditRoom, audit: Audit) -> dict[str, Any]:
    """Return everything that the figure rests on.

    Raises:
        LookupError: the set is not done.
    """
    measured = room.measured(audit.subject, audit.basis)
    if measured is None:
        raise LookupError(f"audit {audit.id} is not done")
    sets = room.audits.done(audit.subject, audit.basis)
    return {
        "site": audit.subject.source.split("/")[2],
        "device": audit.subject.source.split("/")[4],
        "camera": audit.subject.camera,
        "sort": audit.subject.sort,
        "subject": audit.subject.name,
        "basis": asdict(audit.basis),
        "measured": asdict(measured)
        | {name: _text(getattr(measured, name)) for name in ("first_at", "last_at", "audited_at")},
        "audits": [_audit(one, shown) for one, shown in sets],
    }


def _audit(audit: Audit, shown: list[Shown]) -> dict[str, Any]:
    return {
        "audit": audit.id,
        "drawn_at": _text(audit.drawn_at),
        "done_at": _text(audit.done_at or 0.0),
        "design": audit.design,
        "unsure": sum(one.seen == UNSURE for one in shown),
        "result": None if audit.result is None else audit.result.model_dump(mode="json"),
        "clips": [_clip(one) for one in shown],
    }


def _clip(shown: Shown) -> dict[str, Any]:
    score = score_of(shown)
    return {
        "place": shown.place,
        "began_at": _text(shown.began_at),
        "stratum": shown.stratum,
        "probability": round(shown.probability, 6),
        "weight": round(shown.weight, 4),
        "counted": shown.counted,
        "seen": shown.seen,
        "score": None if score is None else asdict(score),
    }


def _text(at_s: float) -> str:
    return datetime.fromtimestamp(at_s, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
