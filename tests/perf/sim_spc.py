"""``make sim-spc``: simulated run lengths of the charts beside what was computed or published.

Every chart is run part by part as a station runs it. References: a binomial sum for the p-chart,
the exact Markov chain of whole-number states for CUSUM and EWMA (Brook, Evans 1972), tables of
Lucas, Saccucci (1990) and Champ, Woodall (1987) for what is measured in standard deviations.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.random import Generator
from rich.console import Console
from rich.table import Table

from shopfloor_demo.settings import REPOSITORY
from shopfloor_edge.spc.charts import Chart
from shopfloor_edge.spc.design import Aim, Design, design_cusum, design_ewma, design_p_chart
from shopfloor_edge.spc.normal import NormalCusum, NormalEwma
from shopfloor_edge.spc.runs import Rule, RunRules

REPORT = REPOSITORY / "var" / "bench" / "spc.json"
SHORT = Aim(0.01, 0.03, 2000.0)
"""Short enough for thousands of simulated runs; the charts are the same code with other limits."""
LINE = Aim(0.005, 0.02, 10_000_000.0)
"""A stop limit: at 200 parts a minute a false stop every five weeks."""
PARTS_PER_MONTH = 200 * 60 * 24 * 30
WARM_PARTS = 2_000
BLOCK = 4096


@dataclass(frozen=True, slots=True)
class Row:
    """Mean run lengths of one chart, simulated and reference; parts, or values for sensors."""

    arl0: float
    arl0_reference: float
    arl1: float
    arl1_reference: float
    source: str


def part_run(chart: Chart, rate: float, random: Generator, *, warm: int = 0) -> int | None:
    """Return parts from a calm start to a signal; with ``warm`` from the shift to the signal.

    None: it signalled falsely while it warmed up at the normal rate.
    """
    chart.reset()
    for defective in (random.random(warm) < SHORT.p0).tolist():
        if chart.update(defective=defective):
            return None
    length = 0
    while True:
        for defective in (random.random(BLOCK) < rate).tolist():
            length += 1
            if chart.update(defective=defective):
                return length


def simulate_parts(runs: int, random: Generator) -> tuple[dict[str, Row], dict[str, float]]:
    """Return the rows of the three charts, and the delay after an injected shift."""
    rows, delays = {}, {}
    for name, design in _designs(SHORT).items():
        chart = design.chart
        quiet = [part_run(chart, SHORT.p0, random) for _ in range(runs)]
        shifted = [part_run(chart, SHORT.p1, random) for _ in range(runs)]
        rows[name] = Row(
            float(np.mean(np.array(quiet, float))),
            design.arl0,
            float(np.mean(np.array(shifted, float))),
            design.arl1,
            "exact",
        )
        warmed = [part_run(chart, SHORT.p1, random, warm=300) for _ in range(runs)]
        delays[name] = float(np.mean([delay for delay in warmed if delay is not None]))
    return rows, delays


def simulate_values(runs: int, random: Generator) -> dict[str, Row]:
    """Return rows of what is measured in standard deviations, against published tables."""

    def mean(make: Callable[[], Callable[[float], bool]], shift: float) -> float:
        total = 0
        for _ in range(runs):
            signals = make()
            while True:
                block = (random.standard_normal(256) + shift).tolist()
                at = next((i for i, z in enumerate(block, 1) if signals(z)), None)
                total += at or len(block)
                if at:
                    break
        return total / runs

    def run_rules() -> Callable[[float], bool]:
        rules = RunRules(frozenset(Rule))
        return lambda z: any(rules.update(z))

    cusum, ewma = (lambda: NormalCusum(0.5, 4.0).update), (lambda: NormalEwma(0.1, 2.814).update)
    return {
        "normal-cusum": Row(mean(cusum, 0), 168.0, mean(cusum, 1.0), 8.38, "Lucas, Crosier 1982"),
        "normal-ewma": Row(mean(ewma, 0), 500.0, mean(ewma, 1.0), 10.3, "Lucas, Saccucci 1990"),
        "run-rules": Row(mean(run_rules, 0), 91.75, mean(run_rules, 1.0), 9.22, "Champ, Woodall"),
    }


def _designs(aim: Aim) -> dict[str, Design[Any]]:
    return {"p-chart": design_p_chart(aim), "cusum": design_cusum(aim), "ewma": design_ewma(aim)}


def main() -> int:
    """Simulate, print and write; exit 1 where a figure is more than 5 % off."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args()
    random, began = np.random.default_rng(arguments.seed), time.monotonic()
    rows, delays = simulate_parts(arguments.runs, random)
    rows |= simulate_values(arguments.runs, random)
    stopping = _designs(LINE)
    stops = {name: PARTS_PER_MONTH / design.arl0 for name, design in stopping.items()}
    found = {name: design.arl1 for name, design in stopping.items()}
    console = Console()
    table = Table("chart", "ARL0", "reference", "off", "ARL1", "reference", "off", "source")
    worst = 0.0
    for name, row in rows.items():
        off = [row.arl0 / row.arl0_reference - 1, row.arl1 / row.arl1_reference - 1]
        worst = max(worst, *map(abs, off))
        table.add_row(
            name, f"{row.arl0:,.1f}", f"{row.arl0_reference:,.1f}", f"{off[0]:+.1%}",
            f"{row.arl1:,.2f}", f"{row.arl1_reference:,.2f}", f"{off[1]:+.1%}", row.source,
        )  # fmt: skip
    console.print(table)
    line = Table("stop limit", "false stops a month", f"parts until {LINE.p1:g} is told", "delay")
    for name, often in stops.items():
        line.add_row(name, f"{often:.2f}", f"{found[name]:,.0f}", f"{found[name] * 0.3:.0f} s")
    console.print(line)
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    report = {
        "machine": f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores",
        "charts": {name: asdict(row) for name, row in rows.items()},
        "delay_after_300_normal_parts": delays,
        "aim": asdict(SHORT),
        "false_stops_per_month": stops,
        "parts_to_stop": found,
        "stop_aim": asdict(LINE),
        "worst_off": worst,
        "runs": arguments.runs,
        "seconds": time.monotonic() - began,
    }
    REPORT.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    console.print(f"worst {worst:.1%} off; {REPORT.relative_to(REPOSITORY)}")
    return 0 if worst <= 0.05 else 1


if __name__ == "__main__":
    sys.exit(main())
