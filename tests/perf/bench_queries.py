"""``make bench-queries``: what a dashboard asks, over ten times the history, through the API.

The smaller history is 200 cameras (20 sites of 10) for a week of minutes, the larger the same
cameras for ten weeks. Raw events and sums per minute are made by SQL, sums per hour and day from
those, so that the tables have the sizes and the spread of real ones; a check adds the raw events
up and compares. Every question goes through the whole API: SQL, figures, JSON. Each is asked about
stretches drawn at random (seed 1), all kinds of question in turn. ``--database postgresql`` asks a
PostgreSQL of its own, started for this.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import random
import re
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import numpy as np
from fastapi import APIRouter
from rich.console import Console
from rich.table import Table
from sqlalchemy import Connection, Engine, text

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "tests"))

from fakes import postgresql  # noqa: E402
from shopfloor_ingest.adapters.http import build_api  # noqa: E402
from shopfloor_ingest.adapters.kpi_queries import SqlKpis  # noqa: E402
from shopfloor_ingest.adapters.reports import SqlReader  # noqa: E402
from shopfloor_ingest.adapters.store import SqlStore  # noqa: E402
from shopfloor_kit.database import open_engine  # noqa: E402

SITES, CAMERAS_PER_SITE, DAY_MINUTES = 20, 10, 1440
START = datetime(2026, 1, 5, tzinfo=UTC)
START_S = int(START.timestamp())
LIMIT_MS = 50.0
DIGEST = "0" * 64

_MINUTES = """
WITH RECURSIVE minutes(m) AS (SELECT 0 UNION ALL SELECT m + 1 FROM minutes WHERE m < :last)
"""
_RAW = """
INSERT INTO events SELECT
  {id},
  'site-' || :site, 'device-1', 'cam-' || :camera, 'traffic',
  {stream}, m * 10 + :camera + :first, NULL, '', '',
  '{{"crossings_in":' || ((m * 7 + :camera) % 9) || '}}', :start + m * 60 FROM minutes
"""
_SUMMED = """
INSERT INTO rollup_traffic SELECT
  'site-' || :site, 60, :start + m * 60, 'cam-' || c, 'device-1', :digest, 'entrance',
  1, 60000, 57000, 300, 0, (m * 7 + c) % 9, (m * 5 + c) % 7
FROM minutes, (WITH RECURSIVE cameras(c) AS
  (SELECT 0 UNION ALL SELECT c + 1 FROM cameras WHERE c < :cameras - 1) SELECT c FROM cameras)
  AS each
"""
_LONGER = """
INSERT INTO rollup_traffic SELECT site, :length, bucket_start - bucket_start % :length AS began,
  camera, device, model_digest, line, sum(windows), sum(window_ms), sum(covered_ms), sum(frames),
  sum(degraded_ms), sum(crossings_in), sum(crossings_out)
FROM rollup_traffic WHERE site = :name AND bucket_s = 60 AND bucket_start >= :start
GROUP BY site, began, camera, device, model_digest, line
"""

_WORDS = {
    "sqlite": {
        "id": "printf('%08x-%04x-5000-8000-%012x', :site, :camera, :start + m * 60)",
        "stream": "printf('%032x', :site)",
        "crossings": "json_extract(data, '$.crossings_in')",
    },
    "postgresql": {
        "id": "lpad(to_hex(:site + 0), 8, '0') || '-' || lpad(to_hex(:camera + 0), 4, '0')"
        " || '-5000-8000-' || lpad(to_hex(:start + m * 60), 12, '0')",
        "stream": "lpad(to_hex(:site + 0), 32, '0')",
        "crossings": "(data::json->>'crossings_in')::int",
    },
}
"""What the two say differently."""

_INDEXES = {
    "events_began_at": "CREATE INDEX events_began_at ON events (began_at)",
    "events_stream_seq": "CREATE UNIQUE INDEX events_stream_seq ON events"
    " (site, device, stream, seq) WHERE kind IN ('traffic')",
}


def main() -> int:
    """Make both histories in one database, the larger after the smaller; print and write."""
    arguments = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    arguments.add_argument("--days", type=int, nargs="+", default=[7, 70])
    arguments.add_argument("--rounds", type=int, default=100, help="of every kind of question")
    arguments.add_argument("--folder", type=Path, help="for SQLite's database; some 8 GB")
    arguments.add_argument("--database", choices=list(_WORDS), default="sqlite")
    parsed = arguments.parse_args()
    rows, p95, kinds = [], [], {}
    with database(parsed.database, parsed.folder) as engine:
        SqlStore(engine).prepare()
        done = 0
        for days in parsed.days:
            grow(engine, done, days)
            done = days
            check(engine, days)
            took = asyncio.run(ask(engine, days, parsed.rounds))
            rows.append(SITES * CAMERAS_PER_SITE * days * DAY_MINUTES)
            kinds[rows[-1]] = {name: float(np.percentile(ms, 95)) for name, ms in took.items()}
            p95.append(float(np.percentile(np.concatenate(list(took.values())), 95)))
    report(rows, p95, kinds, store=parsed.database)
    return 0 if max(p95) <= LIMIT_MS else 1


@contextmanager
def database(kind: str, folder: Path | None) -> Iterator[Engine]:
    """Give an empty database that is gone afterwards."""
    if kind == "postgresql":
        if not postgresql.BINARIES:
            raise SystemExit(postgresql.ABSENT)
        cluster = postgresql.Cluster(max_wal_size="4GB")
        engine = open_engine(cluster.make_database())
        try:
            yield engine
        finally:
            engine.dispose()
            cluster.stop()
        return
    with tempfile.TemporaryDirectory(dir=folder) as made:
        engine = open_engine(f"sqlite:///{made}/bench.db")
        yield engine
        engine.dispose()


def grow(engine: Engine, first_day: int, last_day: int) -> None:
    """Add the days of every site: raw events, and sums of all three lengths."""
    began = time.monotonic()
    # An index is sooner made anew than kept while so much is added.
    _each(engine, [f"DROP INDEX {name}" for name in _INDEXES])
    for site in range(SITES):
        with engine.begin() as connection:
            _grow_site(connection, site, first_day, last_day)
    # PostgreSQL's autovacuum does it sooner or later; nothing does it in SQLite.
    _each(engine, [*_INDEXES.values(), *["ANALYZE"] * (engine.dialect.name == "postgresql")])
    Console().print(f"{last_day} days made in {time.monotonic() - began:.0f} s")


def _grow_site(connection: Connection, site: int, first_day: int, last_day: int) -> None:
    start, first = START_S + first_day * 86_400, first_day * DAY_MINUTES * 10 + 1
    last = (last_day - first_day) * DAY_MINUTES - 1
    window = {"site": site, "start": start, "last": last}
    raw = _RAW.format(**_WORDS[connection.dialect.name])
    for camera in range(CAMERAS_PER_SITE):
        _insert(connection, raw, {**window, "camera": camera, "first": first})
    _insert(connection, _SUMMED, {**window, "cameras": CAMERAS_PER_SITE, "digest": DIGEST})
    for length in (3600, 86_400):
        named = {"length": length, "name": f"site-{site}", "start": start}
        connection.execute(text(_LONGER), named)


def _each(engine: Engine, statements: Iterable[str]) -> None:
    for statement in statements:
        with engine.begin() as connection:
            connection.execute(text(statement))


def _insert(connection: Connection, statement: str, values: dict[str, object]) -> None:
    insert, select = statement.strip().split(" SELECT", 1)
    connection.execute(text(f"{insert} {_MINUTES} SELECT{select}"), values)


def check(engine: Engine, days: int) -> None:
    """Refuse to measure sums that are not those of the raw events of one site."""
    raw = (
        f"SELECT count(*), sum({_WORDS[engine.dialect.name]['crossings']}) FROM events"  # noqa: S608
        " WHERE began_at >= :start AND began_at < :end AND site = 'site-3'"
    )
    summed = (
        "SELECT sum(windows), sum(crossings_in) FROM rollup_traffic WHERE site = 'site-3'"
        " AND bucket_s = :length AND bucket_start >= :start AND bucket_start < :end"
    )
    last = START_S + (days - 1) * 86_400
    with engine.connect() as connection:
        stretch = {"start": last, "end": last + 86_400}
        found = {tuple(map(int, connection.execute(text(raw), stretch).one()))}
        for length in (60, 3600, 86_400):
            row = connection.execute(text(summed), {**stretch, "length": length}).one()
            found.add(tuple(map(int, row)))
    if len(found) != 1:
        raise SystemExit(f"sums differ from raw events: {found}")


def questions(days: int, rounds: int) -> Iterator[tuple[str, str, dict[str, str]]]:
    """Yield name, path and query of what a dashboard's panels ask."""
    chance = random.Random(1)
    for _ in range(rounds):
        site = f"site-{chance.randrange(SITES)}"
        end = START + timedelta(hours=chance.randrange(24, days * 24 + 1))

        def since(at: datetime = end, **back: int) -> dict[str, str]:
            return {"from": (at - timedelta(**back)).isoformat(), "to": at.isoformat()}

        path = f"/api/v1/sites/{site}/kpi/traffic"
        yield "a day by hour, per camera", path, {"by": "camera", **since(days=1)}
        yield "a week by hour, the site", path, {"by": "site", **since(days=7)}
        yield "a week by day, per line", path, {"period": "day", **since(days=7)}
        yield "an hour by minute, per line", path, {"period": "minute", **since(hours=1)}
        month = {"period": "day", "by": "site", **since(days=28)}
        yield "four weeks by day, the site", path, month
        week = {"period": "day", "by": "camera", **since(days=7)}
        yield "a week beside the one before", f"{path}/week-over-week", week
        yield "a day by hour (traffic)", f"/api/v1/sites/{site}/traffic", since(days=1)


async def ask(engine: Engine, days: int, rounds: int) -> dict[str, list[float]]:
    """Return the milliseconds of every answer, by the kind of question."""
    api = build_api(
        SqlReader(engine), SqlKpis(engine), APIRouter(), now=lambda: START + timedelta(days=days)
    )
    took: dict[str, list[float]] = {}
    transport = httpx.ASGITransport(api)
    async with httpx.AsyncClient(transport=transport, base_url="http://bench") as client:
        for name, path, query in questions(days, rounds):
            began = time.perf_counter()
            answer = await client.get(path, params=query)
            took.setdefault(name, []).append((time.perf_counter() - began) * 1000)
            if answer.status_code != 200 or not answer.json()["rows"]:
                found = (answer.status_code, answer.text[:200])
                if name != "a week beside the one before" or answer.status_code != 200:
                    raise SystemExit(f"{path} {query}: {found}")
    return took


def report(
    rows: list[int], p95: list[float], kinds: dict[int, dict[str, float]], *, store: str
) -> None:
    """Print the table and write ``var/bench/queries.json``."""
    console, names = Console(), list(kinds[rows[0]])
    table = Table("question, p95 in ms", *(f"{number:,} events" for number in rows))
    for name in names:
        table.add_row(name, *(f"{kinds[number][name]:.1f}" for number in rows))
    table.add_row("all", *(f"{value:.1f}" for value in p95))
    console.print(table)
    written = {
        "rows": rows,
        "p95_ms": [round(value, 2) for value in p95],
        "by_question_ms": {
            name: [round(kinds[number][name], 2) for number in rows] for name in names
        },
        "limit_ms": LIMIT_MS,
        "store": store,
        "machine": machine(),
    }
    path = REPOSITORY / "var/bench/queries.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(written, indent=1) + "\n")
    console.print(f"{path.relative_to(REPOSITORY)} written; {written['machine']}")


def machine() -> str:
    """Return CPU model and cores."""
    found = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    return f"{found[1] if found else platform.machine()}, {os.cpu_count()} cores"


if __name__ == "__main__":
    raise SystemExit(main())
