"""Events per second and CPU per event through a real broker: ``var/bench/ingest.json``.

One run compares, on the same messages: a bare MQTT client, the ingest process with a sink that
stores nothing, with SQLite, and with PostgreSQL; each several times in turn, the median counts.
CPU is the process's own (user and system), so that what else the machine does matters little. Then
60 s (``--seconds``) at a given rate into SQLite, a burst of ten times as much, and two replicas
over PostgreSQL beside one.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
from collections import defaultdict
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from ingest_bed import Bed, Run

REPORT = Path("var/bench/ingest.json")
RATE = 4500
"""Offered in the sustained run; 250,000 cameras at one event per minute are 4,167 per second."""
BURST, BURST_S = 10 * 4200, 10
"""Ten times the target: everything comes at once, and is stored in its time."""
TARGET, LIMIT_RATIO, REPLICA_RATIO = 4200, 1.25, 1.6
FORMS = {"batches": (1000, 3), "singles": (500, 2)}
"""Devices and minutes of each form; every device has 16 events a minute."""
SIDES = ("bare", "null", "raw", "sqlite", "postgresql")


def compare(bed: Bed, form: str, rounds: int) -> dict[str, list[Run]]:
    """Run every side in turn, ``rounds`` times."""
    found: dict[str, list[Run]] = defaultdict(list)
    devices, minutes = FORMS[form]
    for _ in range(rounds):
        for side in SIDES:
            run = bed.flat_out(side, form, devices=devices, minutes=minutes)
            found[side].append(run)
            print(f"{form:8} {side:11} {run.events_per_s:8,.0f}/s {run.cpu_us:7.1f} µs", flush=True)
    return found


def figures(runs: dict[str, list[Run]]) -> dict[str, dict[str, float]]:
    """Return medians, and each side's CPU beside the null sink's of the same round."""
    null = runs["null"]
    table = {}
    for side, of_side in runs.items():
        ratios = [run.cpu_us / base.cpu_us for run, base in zip(of_side, null, strict=True)]
        table[side] = {
            "events_per_s": round(_median([run.events_per_s for run in of_side])),
            "cpu_us_per_event": round(_median([run.cpu_us for run in of_side]), 1),
            "ratio_to_null_sink": round(_median(ratios), 3),
            "database_cpu_us_per_event": round(_median([run.server_cpu_us for run in of_side]), 1),
        }
    return table


def replicas(bed: Bed) -> dict[str, Any]:
    """Return what two replicas over PostgreSQL store beside one."""
    devices, minutes = FORMS["batches"]
    one = bed.flat_out("postgresql", "batches", devices=devices, minutes=minutes)
    two = bed.flat_out("postgresql", "batches", devices=devices, minutes=minutes, replicas=2)
    cores = os.cpu_count() or 1
    return {
        "one_events_per_s": round(one.events_per_s),
        "two_events_per_s": round(two.events_per_s),
        "ratio": round(two.events_per_s / one.events_per_s, 3),
        "target_ratio": REPLICA_RATIO,
        "cores": cores,
        # One replica with its database, broker and generator keeps more than one core busy.
        "cores_allow": cores >= 4,
    }


def main() -> int:
    """Measure, print and write; 1 when a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=60, help="of the sustained run")
    parser.add_argument("--rounds", type=int, default=3, help="of the comparison")
    asked = parser.parse_args()
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-ingest-"))
        bed = stack.enter_context(Bed(Path(folder)))
        load_before = os.getloadavg()[0]
        forms = {form: figures(compare(bed, form, asked.rounds)) for form in FORMS}
        sustained = bed.sustained(RATE, asked.seconds)
        print(json.dumps(sustained, indent=1), flush=True)
        burst = bed.sustained(BURST, BURST_S)
        print(json.dumps(burst, indent=1), flush=True)
        pair = replicas(bed)
        generator = bed.generator_alone(*FORMS["batches"])
    result = _report(forms, sustained, pair)
    result |= {"burst": burst, "generator": generator}
    load = {"load_before": round(load_before, 2), "load_after": round(os.getloadavg()[0], 2)}
    result["machine"] = {"cpu": _cpu(), "cores": os.cpu_count(), **load}
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    REPORT.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=1))
    return 0 if result["met"]["ratio"] and result["met"]["sustained"] else 1


def _report(
    forms: dict[str, dict[str, dict[str, float]]], sustained: dict[str, Any], pair: dict[str, Any]
) -> dict[str, Any]:
    headline = forms["batches"]
    stored = sustained["stored_events_per_s"]
    return {
        "store": {side: headline[side] for side in ("sqlite", "postgresql")},
        "sustained_events_per_s": stored,
        "null_sink": headline["null"],
        "bare_client": headline["bare"],
        "sqlite_without_sums": headline["raw"],
        "singles": forms["singles"],
        "sustained": sustained,
        "replicas": pair,
        "met": {
            "ratio": headline["sqlite"]["ratio_to_null_sink"] <= LIMIT_RATIO,
            "ratio_of_singles": forms["singles"]["sqlite"]["ratio_to_null_sink"] <= LIMIT_RATIO,
            "sustained": stored >= TARGET,
            "replicas": pair["ratio"] >= REPLICA_RATIO if pair["cores_allow"] else None,
        },
    }


def _median(values: list[float]) -> float:
    return statistics.median(values)


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return "unknown"


if __name__ == "__main__":
    sys.exit(main())
