"""What the boards over SQL cost a PostgreSQL that holds 28 days of 500 sites of 10 cameras.

Sums per hour and day of traffic and occupancy, as the reader's role; each board as it opens (days,
four weeks), without and with the indexes of ``cloud/postgresql/reader.sql``.
Writes ``var/bench/boards.json``.
"""

from __future__ import annotations

import json
import os
import platform
import sys
import time
from datetime import datetime, timedelta
from pathlib import Path

import psycopg

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from fakes import postgresql
from fakes.shops import open_shops
from shopfloor_dashboards.macros import TimeRange
from shopfloor_dashboards.sql_check import Answer, sql_findings
from shopfloor_ingest.adapters.tables import ROLLUPS

ROOT = Path(__file__).resolve().parents[2]
READER = (ROOT / "cloud/postgresql/reader.sql").read_text()
REPORT = Path("var/bench/boards.json")
SITES, CAMERAS, DAYS = 500, 10, 28
BOARDS = ("business", "model", "device")
KINDS = {"traffic": "line", "occupancy": "zone"}


class Clock:
    """Asks, and notes how long each answer took."""

    def __init__(self, url: str) -> None:
        self._reader = psycopg.connect(url.replace("shopfloor@", "shopfloor_reader@"))
        self._reader.autocommit = True
        self.took_s: list[float] = []

    def ask(self, sql: str) -> Answer:
        started_s = time.perf_counter()
        found = self._reader.execute(sql)
        rows = found.fetchall()
        self.took_s.append(time.perf_counter() - started_s)
        return Answer([column.name for column in found.description], rows)


def fill(owner: psycopg.Connection, now: datetime) -> None:
    """Add the sums of a fleet beside those of a few shops."""
    for bucket_s in (3600, 86_400):
        end = int(now.timestamp()) // bucket_s * bucket_s
        for kind, thing in KINDS.items():
            named = {
                "site": "'site-' || s",
                "bucket_s": str(bucket_s),
                "bucket_start": f"{end} - n * {bucket_s}",
                "camera": "'cam-' || c",
                "device": "'door'",
                "model_digest": "repeat('a', 64)",
                thing: "'door'",
                "window_ms": str(bucket_s * 1000),
                "covered_ms": str(bucket_s * 990),
                "degraded_ms": "0",
            }
            columns = [column.name for column in ROLLUPS[kind].columns]
            values = ", ".join(named.get(column, "s % 7 + c") for column in columns)
            into = f"INSERT INTO rollup_{kind} ({', '.join(columns)}) SELECT {values} "
            owner.execute(
                f"{into}FROM generate_series(1, {SITES}) AS s, generate_series(1, {CAMERAS}) AS c, "
                f"generate_series(0, {DAYS * 86_400 // bucket_s - 1}) AS n"
            )
    owner.execute("VACUUM ANALYZE")


def measure(url: str, now: datetime) -> dict[str, dict[str, float]]:
    """Ask every query of each board twice; return the second time's sum and slowest."""
    start = int((now - timedelta(days=DAYS)).timestamp())
    range_, found = TimeRange(start, int(now.timestamp())), {}
    for name in BOARDS:
        text = (ROOT / f"dashboards/json/shopfloor-{name}.json").read_text()
        for _ in range(2):
            clock = Clock(url)
            findings = sql_findings(text, clock.ask, range_)
            assert findings == [], findings
        found[name] = {"all_s": sum(clock.took_s), "slowest_s": max(clock.took_s)}
    return found


def main() -> int:
    """Measure, print and write."""
    cluster = postgresql.Cluster(shared_buffers="512MB")
    try:
        url = cluster.make_database()
        now = open_shops(url)
        with psycopg.connect(url, autocommit=True) as owner:
            owner.execute(READER)
            for kind in ROLLUPS:
                owner.execute(f"DROP INDEX rollup_{kind}_stretch")
            fill(owner, now)
            plain = measure(url, now)
            owner.execute(READER)
            owner.execute("ANALYZE")
            indexed = measure(url, now)
    finally:
        cluster.stop()
    machine = _machine()
    print(f"{machine}; {SITES} sites of {CAMERAS} cameras, {DAYS} days")
    print(f"{'board':>10} {'without':>9} {'with indexes':>13} {'slowest with':>13}")
    for name, one in indexed.items():
        without_s = plain[name]["all_s"]
        print(f"{name:>10} {without_s:8.2f}s {one['all_s']:12.2f}s {one['slowest_s']:12.2f}s")
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    figures = {"machine": machine, "plain": plain, "with_indexes": indexed}
    REPORT.write_text(json.dumps(figures, indent=2) + "\n")
    return 0


def _machine() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return f"{line.split(':', 1)[1].strip()}, {os.cpu_count()} cores"
    return f"{platform.machine()}, {os.cpu_count()} cores"


if __name__ == "__main__":
    sys.exit(main())
