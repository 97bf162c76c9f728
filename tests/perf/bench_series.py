"""How many series ingest exposes for 5,000 sites of 50 cameras, and what a scrape costs.

Every site has every state of device, camera and alert: the most series that there can be.
Writes ``var/bench/series.json``.
"""

from __future__ import annotations

import json
import os
import platform
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from prometheus_client import generate_latest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from fakes.fleet import large_fleet

REPORT = Path("var/bench/series.json")


@dataclass(frozen=True, slots=True)
class SeriesCount:
    """One scrape of a simulated fleet."""

    sites: int
    cameras: int
    series: int
    scrape_s: float
    scrape_bytes: int


def count_series(folder: Path, *, sites: int, cameras: int) -> SeriesCount:
    """Fill a fleet into ``folder`` and scrape it once."""
    fleet = large_fleet(folder, sites=sites, cameras=cameras)
    started_s = time.perf_counter()
    text = generate_latest(fleet.registry)
    took_s = time.perf_counter() - started_s
    series = sum(1 for line in text.splitlines() if not line.startswith(b"#"))
    return SeriesCount(sites, sites * cameras, series, took_s, len(text))


def main() -> int:
    """Measure, print and write."""
    with tempfile.TemporaryDirectory() as folder:
        counted = count_series(Path(folder), sites=5000, cameras=50)
    print(_machine())
    print(f"{'sites':>8} {'cameras':>9} {'series':>8} {'scrape s':>9} {'MB':>6}")
    print(
        f"{counted.sites:8,} {counted.cameras:9,} {counted.series:8,}"
        f" {counted.scrape_s:9.2f} {counted.scrape_bytes / 1e6:6.1f}"
    )
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    figures = {
        "cameras": counted.cameras,
        "series": counted.series,
        "scrape_s": round(counted.scrape_s, 3),
        "scrape_bytes": counted.scrape_bytes,
    }
    REPORT.write_text(json.dumps(figures, indent=2) + "\n")
    return 0


def _machine() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return f"{line.split(':', 1)[1].strip()}, {os.cpu_count()} cores"
    return f"{platform.machine()}, {os.cpu_count()} cores"


if __name__ == "__main__":
    sys.exit(main())
