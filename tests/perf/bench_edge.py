"""``make bench-edge``: what one camera costs, beside a straightforward script and the floor.

Every side reads the same footage in a process of its own and counts CPU-seconds over all its
threads. Sides are run in turn, several rounds, and the median of the rounds' ratios is reported:
a busy machine slows all sides of a round.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from edge_footage import Clip, make_clips
from edge_live import Live, run_live
from rich.console import Console
from rich.table import Table

from shopfloor_demo.clips import places
from shopfloor_demo.errors import DemoError
from shopfloor_demo.settings import REPOSITORY

HERE = Path(__file__).parent
SIDE_LIMIT_S = 600
CAMERAS = 16


@dataclass(frozen=True, slots=True)
class Run:
    """One side on one clip in one round."""

    cpu_s: float
    frames: int
    inferred: int
    crossings: list[tuple[str, str, float]]


# Name, side, scene, stream, further arguments.
RUNS = (
    ("script main", "script", "busy", "main", ()),
    ("tuned script main", "script", "busy", "main", ("--tuned",)),
    ("floor main", "floor", "busy", "main", ()),
    ("equal main", "ours", "busy", "main", ("--no-gate",)),
    ("script main, yolox-nano", "script", "busy", "main", ("--tuned", "--bundle", "yolox-nano")),
    ("floor main, yolox-nano", "floor", "busy", "main", ("--bundle", "yolox-nano")),
    ("equal main, yolox-nano", "ours", "busy", "main", ("--no-gate", "--bundle", "yolox-nano")),
    ("floor sub", "floor", "busy", "sub", ()),
    ("equal sub", "ours", "busy", "sub", ("--no-gate",)),
    ("defaults busy", "ours", "busy", "sub", ()),
    ("script quiet", "script", "quiet", "main", ()),
    ("tuned script quiet", "script", "quiet", "main", ("--tuned",)),
    ("floor quiet sub", "floor", "quiet", "sub", ()),
    ("ungated quiet", "ours", "quiet", "sub", ("--no-gate",)),
    ("defaults quiet", "ours", "quiet", "sub", ()),
)
RATIOS = {
    "ratio_to_script": ("equal main", "script main"),
    "ratio_to_tuned_script": ("equal main", "tuned script main"),
    "ratio_to_floor": ("equal main", "floor main"),
    "ratio_to_tuned_script_yolox_nano": ("equal main, yolox-nano", "script main, yolox-nano"),
    "ratio_to_floor_yolox_nano": ("equal main, yolox-nano", "floor main, yolox-nano"),
    "ratio_to_floor_sub": ("equal sub", "floor sub"),
    "defaults_to_script_busy": ("defaults busy", "script main"),
    "defaults_to_script_quiet": ("defaults quiet", "script quiet"),
    "defaults_to_tuned_script_busy": ("defaults busy", "tuned script main"),
    "defaults_to_tuned_script_quiet": ("defaults quiet", "tuned script quiet"),
}


def main() -> int:
    """Run everything, print a table and write ``var/bench/edge.json``."""
    parser = argparse.ArgumentParser(prog="make bench-edge", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--no-live", action="store_true", help="leave memory and latency out")
    parser.add_argument("--out", type=Path, default=REPOSITORY / "var/bench/edge.json")
    arguments = parser.parse_args()
    try:
        clips = make_clips(places(os.environ, REPOSITORY))
    except DemoError as e:
        print(f"bench-edge: {e}", file=sys.stderr)
        return 2
    rounds = [_round(clips, number) for number in range(arguments.rounds)]
    live = None if arguments.no_live else run_live(clips["busy"].sub, cameras=CAMERAS)
    result = _result(rounds, clips, live)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(result, indent=2) + "\n")
    _show(rounds, clips, result, arguments.out)
    return 0


def _round(clips: dict[str, Clip], number: int) -> dict[str, Run]:
    runs = {}
    for name, side, scene, stream, further in RUNS:
        print(f"round {number + 1}: {name}", flush=True)
        runs[name] = _run(side, getattr(clips[scene], stream), further)
    return runs


def _run(side: str, clip: Path, further: tuple[str, ...]) -> Run:
    """Run one side in a process of its own, with one thread wherever OpenMP is asked."""
    done = subprocess.run(
        [sys.executable, str(HERE / "edge_sides.py"), side, str(clip), *further],
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(trackers_folder())},
        capture_output=True,
        text=True,
        timeout=SIDE_LIMIT_S,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"bench-edge: {side}: {done.stderr.strip()[-500:]}")
    fields = json.loads(done.stdout.splitlines()[-1])
    fields["crossings"] = [tuple(crossing) for crossing in fields["crossings"]]
    return Run(**fields)


def trackers_folder() -> Path:
    """Return where the Make target puts what only the script needs."""
    return REPOSITORY / "var" / "bench" / "trackers"


def _result(
    rounds: list[dict[str, Run]], clips: dict[str, Clip], live: Live | None
) -> dict[str, object]:
    result: dict[str, object] = {
        name: round(statistics.median(r[over].cpu_s / r[under].cpu_s for r in rounds), 3)
        for name, (over, under) in RATIOS.items()
    }
    for scene in ("busy", "quiet"):
        cost = statistics.median(r[f"defaults {scene}"].cpu_s for r in rounds)
        result[f"cameras_per_core_{scene}"] = round(clips[scene].duration_s / cost, 1)
    first = rounds[0]
    lost = {
        "busy": _lost(first["equal sub"], first["defaults busy"]),
        "quiet": _lost(first["ungated quiet"], first["defaults quiet"]),
    }
    result["crossings_lost_by_gate"] = sum(lost.values())
    result["crossings_ungated"] = len(first["equal sub"].crossings) + len(
        first["ungated quiet"].crossings
    )
    quiet = first["defaults quiet"]
    result["inferred_ratio_quiet"] = round(quiet.inferred / first["ungated quiet"].inferred, 3)
    if live is not None:
        result["rss_mb_16_cameras"] = round(live.rss_mb, 1)
        result["latency_ms"] = {"p50": round(live.p50_ms, 1), "p99": round(live.p99_ms, 1)}
    result["rounds"] = len(rounds)
    result["machine"] = {"cpu": _cpu_model(), "cores": os.cpu_count(), "os": platform.platform()}
    return result


def _lost(ungated: Run, gated: Run) -> int:
    """Count crossings of the ungated run that the gated one has not, within 1.5 s of each."""
    left = list(gated.crossings)
    lost = 0
    for line, direction, at_s in ungated.crossings:
        same = [c for c in left if c[:2] == (line, direction) and abs(c[2] - at_s) <= 1.5]
        if same:
            left.remove(min(same, key=lambda c: abs(c[2] - at_s)))
        else:
            lost += 1
    return lost


def _show(
    rounds: list[dict[str, Run]], clips: dict[str, Clip], result: dict[str, object], out: Path
) -> None:
    costs = Table(title="CPU milliseconds per camera-second, 15 fps in, 5 fps inferred")
    costs.add_column("side")
    costs.add_column("ms", justify="right")
    costs.add_column("inferred", justify="right")
    for name, _, scene, _, _ in RUNS:
        cost = statistics.median(r[name].cpu_s for r in rounds) / clips[scene].duration_s
        run = rounds[0][name]
        costs.add_row(name, f"{1000 * cost:.1f}", f"{run.inferred} of {run.frames}")
    figures = Table(title="Figures", caption=f"written to {out}")
    figures.add_column("figure")
    figures.add_column("value", justify="right")
    for key, value in result.items():
        figures.add_row(key, str(value))
    console = Console()
    console.print(costs)
    console.print(figures)


def _cpu_model() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    models = [line.partition(": ")[2] for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor()


if __name__ == "__main__":
    sys.exit(main())
