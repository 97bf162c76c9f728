"""What the page of inspection shows of a station: its line, its charts, its parts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from shopfloor_edge.inspection.feedback import Rate, rates_of
from shopfloor_edge.journal.part_views import Stretch, course_of, unsaid_counts
from shopfloor_edge.journal.parts import read_known, read_overrules, read_parts

STRETCHES, EACH = 40, 20
WIDTH, HEIGHT = 400, 100
"""Of the drawing, in units of its own."""
LEAST_TOP = 0.05
"""The drawing's top is at least so many failed parts, or one bad part would fill it."""


@dataclass(frozen=True, slots=True)
class Column:
    """One stretch of parts, drawn: ``failed`` stands on the ground, ``unjudged`` hangs below."""

    x: float
    width: float
    failed: float
    unjudged: float


@dataclass(frozen=True, slots=True)
class Course:
    """The line's last parts as a drawing."""

    columns: tuple[Column, ...]
    first: int
    last: int
    top: float
    """Share of failed parts at the drawing's top."""
    failed: int
    judged: int


@dataclass(frozen=True, slots=True)
class Level:
    """How near a chart is to its two limits, each in [0, 1]."""

    name: str
    alert: float
    stop: float


@dataclass(frozen=True, slots=True)
class Standing:
    """A station as people see it."""

    station: str
    line: str
    """``running``, ``alerted``, ``stopped``, or ``held``: the golden parts were misjudged."""
    stopped_by: str
    told: tuple[str, ...]
    misjudged: tuple[str, ...]
    golden_at: datetime | None
    totals: dict[str, int]
    levels: tuple[Level, ...]
    course: Course | None
    last_at: datetime | None
    rates: dict[str, Rate]
    unsaid: dict[str, int]


def standing_of(folder: Path, station: str) -> Standing:
    """Read a station's book.

    Raises:
        JournalError: it cannot be read now.
    """
    known: dict[str, Any] = json.loads(read_known(folder, station) or "{}")
    guard, golden = known.get("guard", {}), known.get("golden", {})
    misjudged = tuple(golden.get("misjudged", ()))
    line = guard.get("state", "running")
    newest = read_parts(folder, station, limit=1)
    at_s = golden.get("at_s")
    return Standing(
        station=station,
        line="held" if misjudged and line != "stopped" else line,
        stopped_by=known.get("stopped_by", ""),
        told=tuple(sorted(known.get("told", {}))),
        misjudged=misjudged,
        golden_at=None if at_s is None else datetime.fromtimestamp(at_s, UTC),
        totals=known.get("all_time", {}),
        levels=tuple(
            Level(name, min(1.0, level["alert"]), min(1.0, level["stop"]))
            for name, level in sorted(guard.get("levels", {}).items())
        ),
        course=draw(course_of(folder, station, stretches=STRETCHES, each=EACH)),
        last_at=datetime.fromtimestamp(newest[0].at, UTC) if newest else None,
        rates=rates_of(read_overrules(folder, station)),
        unsaid=unsaid_counts(folder, station),
    )


def draw(stretches: Sequence[Stretch]) -> Course | None:
    """Return the course as columns, the newest at the right; None without any part."""
    if not stretches:
        return None
    shares = [stretch.failed / max(1, stretch.judged) for stretch in stretches]
    top = max(LEAST_TOP, *shares)
    step = WIDTH / STRETCHES
    begin = WIDTH - step * len(stretches)
    columns = tuple(
        Column(
            round(begin + at * step + 1, 1),
            round(step - 2, 1),
            round(HEIGHT * share / top, 1),
            round(24 * stretch.unjudged / max(1, stretch.judged + stretch.unjudged), 1),
        )
        for at, (stretch, share) in enumerate(zip(stretches, shares, strict=True))
    )
    return Course(
        columns,
        stretches[0].first,
        stretches[-1].last,
        top,
        sum(stretch.failed for stretch in stretches),
        sum(stretch.judged for stretch in stretches),
    )
