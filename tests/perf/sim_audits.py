"""``make sim-audits``: how often the interval of an audit holds the truth, and how wide it is.

Simulated days of a shop that is open from 9 to 20 h: people per clip are Poisson, misses go
together within a clip, false counts come at random. Strata know only what the device counted.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
from dataclasses import asdict, dataclass
from random import Random

import numpy as np
from rich.console import Console
from rich.table import Table

from shopfloor_demo.settings import REPOSITORY
from shopfloor_edge.auditing.estimate import Judged, estimate
from shopfloor_edge.auditing.sampling import Candidate, draw_set
from shopfloor_edge.auditing.scores import Score, score_counts

REPORT = REPOSITORY / "var" / "bench" / "audits.json"
WORLDS = ((0.98, 0.005, 0.0), (0.95, 0.02, 0.0), (0.9, 0.05, 0.15), (0.7, 0.1, 0.2))
"""Share of people found, false counts per clip, and how much the share varies between clips."""
SIZES = (10, 20, 40, 80)
CLIPS = 400


@dataclass(frozen=True, slots=True)
class Row:
    """Simulated audits of one size in one world."""

    clips: int
    found: float
    false_per_clip: float
    varies: float
    audits: int
    covered: float
    """Share of them whose interval holds the accuracy of all clips."""
    mean_width: float


def simulate(size: int, world: tuple[float, float, float], audits: int) -> Row:
    """Draw audits, each of other days."""
    random, inside, widths = np.random.default_rng(1), 0, []
    for seed in range(audits):
        scores, candidates = _days(random, world)
        total = sum(scores, Score())
        drawn = draw_set(candidates, size, Random(seed))
        found = estimate([Judged(d.stratum, d.weight, scores[int(d.clip)]) for d in drawn])
        if found.accuracy is None:
            continue
        inside += found.low <= total.agreed / total.items <= found.high
        widths.append(found.high - found.low)
    width = float(np.mean(widths))
    return Row(size, *world, len(widths), inside / len(widths), width)


def _days(
    random: np.random.Generator, world: tuple[float, float, float]
) -> tuple[list[Score], list[Candidate]]:
    found, false, varies = world
    hours = random.integers(0, 24, CLIPS)
    there = random.poisson(np.where((hours > 8) & (hours < 20), 1.2, 0.05))
    share = np.clip(found + varies * random.standard_normal(CLIPS), 0, 1)
    counted = random.binomial(there, share) + random.poisson(false, CLIPS)
    scores = [score_counts([int(c)], [int(t)]) for c, t in zip(counted, there, strict=True)]
    pairs = enumerate(zip(hours, counted, strict=True))
    return scores, [Candidate(str(n), int(h), 0.7 * float(c), 1.0) for n, (h, c) in pairs]


def main() -> None:
    """Print the table and write the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--audits", type=int, default=400, help="of each size in each world")
    arguments = parser.parse_args()
    rows = [simulate(size, world, arguments.audits) for size in SIZES for world in WORLDS]
    table = Table("clips", "found", "false per clip", "holds the truth", "mean width")
    for row in rows:
        cells = (f"{row.found:.0%}", f"{row.false_per_clip}", f"{row.covered:.1%}")
        table.add_row(str(row.clips), *cells, f"{row.mean_width:.2f}")
    Console().print(table)
    machine = f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores"
    report = {"machine": machine, "rows": [asdict(row) for row in rows]}
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    REPORT.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
