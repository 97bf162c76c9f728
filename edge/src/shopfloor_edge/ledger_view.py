"""``shopfloor-edge ledger``: what the figures of this device rest on, for people and programs."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from shopfloor_edge.journal.ledger import LedgerRow, read_ledger

HEADS = ("KPI", "camera", "model", "runtime", "zones", "windows", "from", "until", "seen")


def show_ledger(state: Path, *, as_json: bool) -> int:
    """Print the ledger; an empty one says so.

    Raises:
        JournalError: there is no state folder, or it cannot be read.
    """
    rows = read_ledger(state)
    if as_json:
        found = [asdict(row) | {"coverage_ratio": round(row.coverage_ratio, 4)} for row in rows]
        print(json.dumps({"ledger": found}, indent=1))
        return 0
    print(table(rows) if rows else "nothing has been counted yet")
    return 0


def table(rows: list[LedgerRow]) -> str:
    """Return the rows as text columns; times are UTC."""
    cells = [HEADS, *[_cells(row) for row in rows]]
    widths = [max(len(line[column]) for line in cells) for column in range(len(HEADS))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in cells
    ]
    if any(row.precision == "none" for row in rows):
        lines += ["", "! counted by motion, without a model: a person standing still is not seen"]
    return "\n".join(lines)


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
