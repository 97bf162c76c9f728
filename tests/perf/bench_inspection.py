"""``make bench-inspection``: parts per second and latency of each judge on one core.

CPU time is what counts, as other processes share this machine; elapsed time stands beside it.
A reference is prepared beforehand, as a station does; every part of DeepPCB's val list is bad,
which is the expensive kind, and each list of good parts is its references, moved.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence

import cv2
import numpy as np
from inspection_judges import NO_BUNDLE, NO_ONE_CLASS, data_folder, entries, machine
from rich.console import Console
from rich.table import Table

from shopfloor_demo.errors import OperatorError
from shopfloor_demo.pcb import pairs
from shopfloor_demo.settings import REPOSITORY
from shopfloor_edge.inspection.ports import Grey, Judge

REPORT = REPOSITORY / "var" / "bench" / "inspection.json"
PAPER_FPS = 62.0
"""Tang et al., 2019, on a GPU."""
LINE_PER_MINUTE = 200.0
P99_MS = 50.0


def measure(work: Sequence[tuple[Judge, Grey]], rounds: int) -> dict[str, float]:
    """Return figures of judging every part ``rounds`` times; the first round is not counted."""
    cpu, elapsed = [], []
    for turn in range(rounds + 1):
        for judge, part in work:
            began, used = time.perf_counter(), time.process_time()
            judge.judge(part)
            if turn:
                cpu.append(time.process_time() - used)
                elapsed.append(time.perf_counter() - began)
    return {
        "parts_per_s": len(cpu) / sum(cpu),
        "p99_ms": float(np.quantile(cpu, 0.99)) * 1000,
        "mean_ms": sum(cpu) / len(cpu) * 1000,
        "elapsed_parts_per_s": len(elapsed) / sum(elapsed),
        "elapsed_p99_ms": float(np.quantile(elapsed, 0.99)) * 1000,
    }


def main() -> int:
    """Measure, print and write; exit 1 where the template judge is too slow."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    console = Console()
    try:
        data = list(pairs(data_folder(dict(os.environ)), "val"))
    except OperatorError as e:
        print(f"bench-inspection: {e}", file=sys.stderr)
        return 2
    cv2.setNumThreads(1)
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    rows, good = {}, {}
    for name, entry in entries().items():
        judges = [entry.make(pair.reference) for pair in data]
        rows[name] = measure([(j, p.part) for j, p in zip(judges, data, strict=True)], rounds)
        moved = [np.roll(pair.reference, (3, -2), (0, 1)) for pair in data]
        good[name] = measure(list(zip(judges, moved, strict=True)), 1)
    table = Table("judge", "parts/s", "of the paper's 62", "of the line's 200/min", "p99 ms",
                  "elapsed p99 ms", "good parts/s")  # fmt: skip
    for name, row in rows.items():
        rate = row["parts_per_s"]
        table.add_row(
            name, f"{rate:.0f}", f"{rate / PAPER_FPS:.1f}", f"{rate * 60 / LINE_PER_MINUTE:.0f}",
            f"{row['p99_ms']:.1f}", f"{row['elapsed_p99_ms']:.1f}",
            f"{good[name]['parts_per_s']:.0f}",
        )  # fmt: skip
    console.print(table)
    if "trained" not in rows:
        console.print(NO_BUNDLE)
    if "anomaly" not in rows:
        console.print(NO_ONE_CLASS)
    report = {
        "machine": machine(),
        "load": os.getloadavg()[0],
        "cores_used": 1,
        "judges": rows,
        "good_parts": good,
        "paper_fps": PAPER_FPS,
        "line_per_minute": LINE_PER_MINUTE,
        "parts": len(data) * rounds,
    }
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    REPORT.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    console.print(f"{machine()}, one used; {REPORT.relative_to(REPOSITORY)}")
    template = rows["template"]
    return 0 if template["parts_per_s"] >= PAPER_FPS and template["p99_ms"] <= P99_MS else 1


if __name__ == "__main__":
    sys.exit(main())
