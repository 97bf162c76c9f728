"""``shopfloor-edge uplink``: what has left this device, beside the video that did not."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from shopfloor_edge.journal.usage import VIDEO, DayOfKind, Used, read_usage

HEADS = ("day (UTC)", "kind", "events", "as JSON", "sent")


def show_uplink(state: Path, *, as_json: bool) -> int:
    """Print bytes by day and kind.

    Raises:
        JournalError: there is no state folder, or it cannot be read.
    """
    rows, held = read_usage(state)
    if as_json:
        days = [{"day": row.day, "kind": row.kind, **asdict(row.used)} for row in rows]
        print(json.dumps({"uplink": days, "held": held}, indent=1))
        return 0
    print(_table(rows) if rows else "nothing has been sent yet")
    if held:
        print(f"\n! near the day's budget: {', '.join(held)} wait for tomorrow")
    return 0


def _table(rows: list[DayOfKind]) -> str:
    cells: list[tuple[str, ...]] = [HEADS]
    for day in dict.fromkeys(row.day for row in rows):
        of_day = {row.kind: row.used for row in rows if row.day == day}
        video = of_day.pop(VIDEO, Used())
        cells += [_cells(day, kind, used) for kind, used in of_day.items()]
        cells.append(_cells(day, "together", sum(of_day.values(), start=Used())))
        cells.append((day, "video, stays here", "", f"{video.raw_bytes:,}", "0"))
    widths = [max(len(line[column]) for line in cells) for column in range(len(HEADS))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column < 2 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in cells
    )


def _cells(day: str, kind: str, used: Used) -> tuple[str, ...]:
    return day, kind, f"{used.events:,}", f"{used.raw_bytes:,}", f"{used.wire_bytes:,}"
