"""``shopfloor-edge ledger``: what the figures of this device rest on, for people and programs."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from shopfloor_edge.journal.ledger import AuditedRow, LedgerRow, read_audited, read_ledger

HEADS = ("KPI", "camera", "model", "runtime", "zones", "windows", "from", "until", "seen")
AUDITED_HEADS = (
    *("audited", "camera", "model", "zones", "accuracy", "95 % interval", "clips"),
    *("agreed/missed/false", "last"),
)
NOT_AUDITED = "no figure has been audited by people: the console's page Audit measures them"


def show_ledger(state: Path, *, as_json: bool) -> int:
    """Print the ledger; an empty one says so.

    Raises:
        JournalError: there is no state folder, or it cannot be read.
    """
    rows, audited = read_ledger(state), read_audited(state)
    if as_json:
        found = [asdict(row) | {"coverage_ratio": round(row.coverage_ratio, 4)} for row in rows]
        measured = [asdict(row) for row in audited]
        print(json.dumps({"ledger": found, "audited": measured}, indent=1))
        return 0
    print(table(rows) if rows else "nothing has been counted yet")
    if rows:
        print("\n" + (audited_table(audited) if audited else NOT_AUDITED))
    return 0


def table(rows: list[LedgerRow]) -> str:
    """Return the rows as text columns; times are UTC."""
    lines = _columns([HEADS, *[_cells(row) for row in rows]])
    if any(row.precision == "none" for row in rows):
        lines += ["", "! counted by motion, without a model: a person standing still is not seen"]
    return "\n".join(lines)


def audited_table(rows: list[AuditedRow]) -> str:
    """Return what people measured as text columns; the interval is of 95 %."""
    return "\n".join(_columns([AUDITED_HEADS, *[_audited_cells(row) for row in rows]]))


def _columns(cells: list[tuple[str, ...]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in cells
    ]


def _audited_cells(row: AuditedRow) -> tuple[str, ...]:
    known = row.accuracy is not None
    return (
        f"{row.sort} {row.subject}",
        row.camera,
        row.model_digest[:12],
        row.zone_version,
        f"{row.accuracy:.1%}" if known else "nothing to count",
        f"{row.low:.1%}–{row.high:.1%}" if known else "",
        f"{row.clips}",
        f"{row.agreed}/{row.missed}/{row.false_items}",
        _minute(row.audited_at),
    )


def _cells(row: LedgerRow) -> tuple[str, ...]:
    runtime = " ".join(part for part in (row.backend, row.precision) if part) or "not recorded"
    return (
        ("! " if row.precision == "none" else "") + row.kind,
        row.camera,
        row.model_digest[:12],
        runtime,
        row.zone_version,
        f"{row.windows:,}",
        _minute(row.first_at),
        _minute(row.last_at),
        f"{row.coverage_ratio:.1%}",
    )


def _minute(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M")
