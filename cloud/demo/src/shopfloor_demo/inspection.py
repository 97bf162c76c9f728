"""``make demo-inspection``: a line of boards, a station that judges them, a burst, a stop."""

from __future__ import annotations

import json
import os
import signal
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from rich.console import Console
from rich.live import Live

from shopfloor_demo import inspection_view as view
from shopfloor_demo.boards import as_seen
from shopfloor_demo.broker import HOST, Broker
from shopfloor_demo.conveyor import Conveyor, Line
from shopfloor_demo.errors import DemoError, OperatorError
from shopfloor_demo.inspection_picture import Limits, draw_picture
from shopfloor_demo.main import alone
from shopfloor_demo.parts_supply import BURST_AT, Product, Supply, products
from shopfloor_demo.processes import Processes
from shopfloor_demo.settings import read_settings
from shopfloor_edge.spc.charts import BernoulliCusum
from shopfloor_edge.spc.guard import ALL
from shopfloor_edge.station.recipe_file import load_recipe
from shopfloor_edge.station.watching import build_guard

STATION = "station"
READY_S = 60.0
ACL = "user station\ntopic readwrite line/#\nuser plc\ntopic readwrite line/#\n"
_RECIPE = """\
site = "demo"
device = "line-1"
station = "aoi"
window_s = 10
source = "folder:pictures"
latency_budget_ms = 500

[trigger]
kind = "mqtt"
topic = "line/aoi/trigger"
broker = {broker}

[outputs.mqtt]
prefix = "line/aoi"
broker = {broker}

[[watch]]
alert = {{ p0 = 0.01, p1 = 0.1, arl0 = 1e4 }}
stop = {{ p0 = 0.01, p1 = 0.1, arl0 = 1e7 }}
"""
_PRODUCT = '\n[[products]]\nname = "{name}"\nreference = "{name}.png"\n'
_GOLDEN = (
    '\n[[golden]]\npicture = "{name}-{verdict}.png"\nverdict = "{verdict}"\nproduct = "{name}"\n'
)


@dataclass(frozen=True, slots=True)
class Report:
    """What the run did; the names of the first four are an interface."""

    parts: int
    defects_injected: int
    stopped_after_parts: int | None
    """From the first part of the burst to the stop; None: it was not stopped."""
    verdicts: dict[str, int]
    alerted_after_parts: int | None
    escapes: int
    false_rejects: int
    parts_per_minute: float
    latency_p50_ms: float
    latency_p99_ms: float
    boards: str

    @property
    def complaints(self) -> list[str]:
        """Return what did not go well; empty for success."""
        found = []
        if self.stopped_after_parts is None:
            found.append("the line was not stopped")
        elif self.stopped_after_parts <= 0:
            found.append("the line was stopped before anything broke")
        if sum(self.verdicts.values()) != self.parts:
            found.append(f"{self.parts} parts, {sum(self.verdicts.values())} verdicts")
        return found


def main() -> int:
    """Run the demo; 0 the burst stopped the line, 1 it did not, 2 something to be mended."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    console = Console(highlight=False)
    try:
        settings = read_settings(os.environ)
        run_dir = settings.run_dir / "inspection"
        with alone(run_dir):
            (run_dir / "pictures").mkdir()
            report = _run(run_dir, products(settings.footage.mirror), console)
    except OperatorError as e:
        print(f"demo: {e}", file=sys.stderr)
        return 2
    except DemoError as e:
        print(f"demo: {e}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("demo: interrupted", file=sys.stderr)
        return 130
    for complaint in report.complaints:
        print(f"demo: {complaint}", file=sys.stderr)
    return 1 if report.complaints else 0


def _run(run_dir: Path, kinds: list[Product], console: Console) -> Report:
    with Processes(run_dir / "logs") as processes:
        acl = run_dir / "acl"
        acl.write_text(ACL)
        broker = Broker(run_dir / "broker", processes, users=["station", "plc"], acl_file=acl)
        broker.start()
        recipe_path = write_recipe(run_dir, kinds, broker)
        recipe = load_recipe(recipe_path)
        console.print(f"[bright_black]·[/] boards: {_boards(kinds)}; the station starts")
        argv = [sys.executable, "-m", "shopfloor_edge.main", "inspect", "run"]
        argv += ["--recipe", str(recipe_path), "--state", str(run_dir / "device")]
        processes.start(STATION, argv)
        conveyor = Conveyor(
            recipe, run_dir / "pictures", (HOST, broker.port, broker.password_file("plc"))
        )
        try:
            if not conveyor.wait_running(READY_S):
                processes.check(STATION)
                raise DemoError(f"the line is {conveyor.line.state}: {conveyor.line.reason}")
            limits = _limits(recipe_path)
            seconds = _watch(conveyor, Supply(kinds), limits, console)
        finally:
            conveyor.close()
        processes.stop(STATION)
    report = build_report(conveyor.line, seconds, _boards(kinds))
    out = run_dir.parent / "inspection.json"
    out.write_text(json.dumps(_fields(report), indent=2) + "\n")
    evidence = run_dir / "device" / "inspection" / "aoi"
    picture = run_dir.parent / "inspection.png"
    cv2.imwrite(str(picture), draw_picture(conveyor.line, limits, evidence))
    console.print(view.summary(_fields(report)))
    console.print(f"{out}\n{picture}", soft_wrap=True)
    return report


def _watch(conveyor: Conveyor, supply: Supply, limits: Limits, console: Console) -> float:
    """Run the conveyor under a live view; return its seconds."""
    started_s = time.monotonic()
    if not console.is_terminal:
        conveyor.run(supply, _plain(conveyor.line, console))
        return time.monotonic() - started_s
    with Live(console=console, auto_refresh=False) as live:

        def show() -> None:
            live.update(view.panel(conveyor.line, limits, columns=console.width), refresh=True)

        conveyor.run(supply, show)
        seconds = time.monotonic() - started_s
        show()
    return seconds


def _plain(line: Line, console: Console) -> Callable[[], None]:
    def show() -> None:
        if len(line.parts) % 20 == 0:
            console.print(view.plain_line(line), soft_wrap=True)

    return show


def build_report(line: Line, seconds: float, boards: str) -> Report:
    """Bring the line's memory and the truth together."""
    judged = [seen for seen in line.parts if seen.verdict]
    verdicts = line.verdicts()
    verdicts["missed"] += len(line.parts) - len(judged)
    latencies = sorted(seen.latency_ms for seen in judged) or [0.0]

    def after(part: int | None) -> int | None:
        return None if part is None else part - BURST_AT + 1

    return Report(
        parts=len(line.parts),
        defects_injected=sum(seen.part.is_bad for seen in line.parts),
        stopped_after_parts=after(line.stopped_at),
        verdicts=verdicts,
        alerted_after_parts=after(line.alerted_at),
        escapes=sum(seen.part.is_bad and seen.verdict == "pass" for seen in judged),
        false_rejects=sum(not seen.part.is_bad and seen.verdict == "fail" for seen in judged),
        parts_per_minute=round(60 * len(line.parts) / seconds, 1),
        latency_p50_ms=round(statistics.median(latencies), 1),
        latency_p99_ms=round(float(np.percentile(latencies, 99)), 1),
        boards=boards,
    )


def write_recipe(run_dir: Path, kinds: list[Product], broker: Broker) -> Path:
    """Write references, golden parts and the recipe; return the recipe's path."""
    rng = np.random.default_rng(1)
    secret = broker.password_file("station")
    table = (
        f'{{ port = {broker.port}, username = "station", password_file = "{secret.absolute()}" }}'
    )
    text = _RECIPE.format(broker=table)
    for kind in kinds:
        cv2.imwrite(str(run_dir / f"{kind.name}.png"), as_seen(kind.good, rng))
        cv2.imwrite(str(run_dir / f"{kind.name}-pass.png"), as_seen(kind.good, rng))
        cv2.imwrite(str(run_dir / f"{kind.name}-fail.png"), as_seen(kind.bad(rng), rng))
        text += _PRODUCT.format(name=kind.name)
        text += "".join(_GOLDEN.format(name=kind.name, verdict=v) for v in ("pass", "fail"))
    path = run_dir / "recipe.toml"
    path.write_text(text)
    return path


def _limits(recipe_path: Path) -> Limits:
    watched = build_guard(load_recipe(recipe_path).watch).charts[ALL]
    if not isinstance(watched.alert, BernoulliCusum) or not isinstance(
        watched.stop, BernoulliCusum
    ):
        raise DemoError("the demo's recipe has other charts than CUSUM")
    return Limits(watched.alert.limit, watched.stop.limit)


def _boards(kinds: list[Product]) -> str:
    return "DeepPCB" if kinds[0].name.startswith("pcb-") else "drawn"


def _fields(report: Report) -> dict[str, object]:
    return {name: getattr(report, name) for name in report.__slots__}


def _interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
