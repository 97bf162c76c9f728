"""``make eval-traffic``: the device's own pipeline over real CCTV, against ground truth."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from shopfloor_contracts.site import CameraSpec, LineSpec, ModelSpec, SiteFile
from shopfloor_demo import zones
from shopfloor_demo.clips import find_vtest
from shopfloor_demo.errors import DemoError, OperatorError
from shopfloor_demo.replay import RUNTIMES, replay
from shopfloor_demo.settings import REPOSITORY, read_settings
from shopfloor_demo.stack import fetch_model
from shopfloor_demo.truth import Score, boxes_file, crossings_from_boxes, kept_crossings, score
from shopfloor_edge.analytics.lines import Crossing, Direction
from shopfloor_edge.errors import EdgeError

LINES = [
    LineSpec(name="walkway", a=(0.45, 0.24), b=(0.45, 0.56)),
    LineSpec(name="x500", a=(500 / 768, 0.0), b=(500 / 768, 1.0)),
    LineSpec(name="x230", a=(230 / 768, 0.0), b=(230 / 768, 1.0)),
]
TIMEOUT_S = 600


@dataclass(frozen=True, slots=True)
class Counted:
    """What the vision process found."""

    crossings: list[Crossing]
    frames: int
    fps: float


def count(clip: Path, lines: list[LineSpec], model: ModelSpec, reader: str) -> Counted:
    """Run ``shopfloor-edge vision`` over the file, as a device does.

    Raises:
        OperatorError: it ended with an error; the message is its own.
    """
    camera = CameraSpec(name="vtest", uri=str(clip), reader=reader, lines=lines)
    site = SiteFile(site="evaluation", device="here", model=model, cameras=[camera])
    with tempfile.TemporaryDirectory(prefix="shopfloor-eval-") as name:
        folder = Path(name)
        (folder / "site.toml").write_text(_as_toml(site))
        started_s = time.monotonic()
        files = {
            "--site": folder / "site.toml",
            "--state": folder / "state",
            "--report": folder / "report.json",
            "--crossings": folder / "crossings.jsonl",
        }
        command = [sys.executable, "-m", "shopfloor_edge.main", "--log-level", "warning", "vision"]
        done = subprocess.run(
            [*command, *(str(part) for pair in files.items() for part in pair)],
            timeout=TIMEOUT_S,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
        if done.returncode:
            raise OperatorError((done.stderr.strip() or "vision failed").splitlines()[-1])
        elapsed_s = time.monotonic() - started_s
        report = json.loads((folder / "report.json").read_text())
        if report["degraded"]:
            raise OperatorError(report["degraded"])
        rows = [json.loads(line) for line in (folder / "crossings.jsonl").read_text().splitlines()]
    crossings = [
        Crossing(row["line"], row["track"], Direction(row["direction"]), row["at_s"])
        for row in rows
    ]
    return Counted(crossings, report["frames"], report["frames"] / elapsed_s)


def evaluate(model: ModelSpec, reader: str) -> dict[str, object]:
    """Count, compare, and return what goes into ``traffic.json``.

    Raises:
        OperatorError: the runtime that ``model`` asks for does not work here.
    """
    from shopfloor_edge.inference.zoo import find_manifest  # noqa: PLC0415 — heavy, only here

    where = read_settings(os.environ).footage
    clip = find_vtest(where, say=lambda text: print(text, file=sys.stderr))
    boxes = boxes_file(where.mirror)
    lines = LINES if boxes is not None else LINES[:1]
    truth = crossings_from_boxes(boxes, lines) if boxes is not None else kept_crossings()
    fetch_model(model.bundle)
    counted = count(clip, lines, model, reader)
    manifest = find_manifest(model.bundle)
    return {
        "backend": model.backend,
        "zones": zone_errors(clip, model, boxes) if boxes is not None else [],
        "lines": [_row(score(line.name, truth, counted.crossings)) for line in lines],
        "detector": {"name": manifest.name, "digest": manifest.builds[0].sha256},
        "frames": counted.frames,
        "fps": round(counted.fps, 1),
        "truth_from": "MOT15 PETS09-S2L1" if boxes is not None else "kept crossings of one line",
        "reader": reader,
    }


def evaluate_each(bundle: str, reader: str) -> list[dict[str, object]]:
    """Return the result of every runtime that works here, and why the others don't."""
    results: list[dict[str, object]] = []
    for runtime in RUNTIMES:
        try:
            results.append(evaluate(ModelSpec(bundle=bundle, backend=runtime), reader))
        except (OperatorError, EdgeError) as e:
            results.append({"backend": runtime, "not_run": str(e)})
    return results


def zone_errors(clip: Path, model: ModelSpec, boxes: Path) -> list[dict[str, object]]:
    """Return each zone's errors over the whole clip, and over the part held out."""
    truth = list(zones.annotated(boxes))
    found = list(zones.tracked(replay(clip, model, ("person",))))
    return [
        {"from_frame": first, **zones.compare(name, truth[first:], found[first:])}
        for name in zones.ZONES
        for first in (0, zones.HELD_OUT_FROM)
    ]


def main() -> int:
    """Run the evaluation and print a table."""
    parser = argparse.ArgumentParser(prog="make eval-traffic", description=__doc__)
    parser.add_argument("--bundle", default="yolox-nano", help="detector of the zoo")
    parser.add_argument("--backend", default="auto", choices=["auto", *RUNTIMES, "all"])
    parser.add_argument("--reader", default="auto", choices=["auto", "gstreamer", "pyav"])
    parser.add_argument("--out", type=Path, default=REPOSITORY / "var/eval/traffic.json")
    arguments = parser.parse_args()
    try:
        if arguments.backend == "all":
            results = evaluate_each(arguments.bundle, arguments.reader)
        else:
            model = ModelSpec(bundle=arguments.bundle, backend=arguments.backend)
            results = [evaluate(model, arguments.reader)]
    except (DemoError, EdgeError) as e:
        print(f"eval-traffic: {e}", file=sys.stderr)
        return 2
    content = results[0] if len(results) == 1 else {**results[0], "backends": results}
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(content, indent=2) + "\n")
    for result in results:
        if "not_run" in result:
            print(f"{result['backend']}: not run: {result['not_run']}")
        else:
            _show(result, arguments.out)
    return 0


def _row(line: Score) -> dict[str, object]:
    return {
        "name": line.name,
        "truth": line.truth,
        "counted": line.counted,
        "true_positive": line.true_positive,
        "precision": round(line.precision, 4),
        "recall": round(line.recall, 4),
        "f1": round(line.f1, 4),
    }


def _show(result: dict[str, object], out: Path) -> None:
    title = f"Crossings on vtest.avi, {result['backend']}, {result['frames']} frames"
    table = Table(title=title, caption=f"truth: {result['truth_from']}; written to {out}")
    for column in ("line", "truth", "counted", "right", "precision", "recall", "F1"):
        table.add_column(column, justify="left" if column == "line" else "right")
    lines = result["lines"]
    assert isinstance(lines, list)  # noqa: S101 — made above
    for line in lines:
        table.add_row(*(str(value) for value in line.values()))
    Console().print(table)
    _show_zones(result["zones"])


def _show_zones(rows: object) -> None:
    assert isinstance(rows, list)  # noqa: S101 — made above
    table = Table(title="Zones: error of mean people, visits, error of mean dwell, Little's λW/L")
    for column in ("zone", "from frame", "people", "visits", "counted", "dwell", "λW/L"):
        table.add_column(column, justify="left" if column == "zone" else "right")
    for row in rows:
        table.add_row(
            row["zone"],
            str(row["from_frame"]),
            f"{row['people_error']:+.1%}",
            str(row["visits_truth"]),
            str(row["visits_counted"]),
            f"{row['dwell_mean_error']:+.1%}",
            str(row["little_ratio"]),
        )
    Console().print(table)


def _as_toml(site: SiteFile) -> str:
    """Write the part of a site file that an evaluation needs; JSON values are TOML values."""
    camera = site.cameras[0]
    head = f'site = "{site.site}"\ndevice = "{site.device}"\n'
    model = f'[model]\nbundle = "{site.model.bundle}"\nbackend = "{site.model.backend}"\n'
    body = (
        f"[[cameras]]\nname = {json.dumps(camera.name)}\nuri = {json.dumps(camera.uri)}\n"
        f"reader = {json.dumps(camera.reader)}\n"
    )
    for line in camera.lines:
        body += f"[[cameras.lines]]\nname = {json.dumps(line.name)}\n"
        body += f"a = {list(line.a)}\nb = {list(line.b)}\n"
    return head + model + body


if __name__ == "__main__":
    sys.exit(main())
