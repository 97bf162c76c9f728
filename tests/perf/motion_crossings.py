"""Crossings that a device without a model counts on vtest.avi, against ground truth.

The vision process runs over the whole clip with ``backend = "motion"``; the frames from 400 on are
judged, because motion's figures were chosen on those before.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from shopfloor_demo.evaluate import LINES
from shopfloor_demo.truth import FPS, crossings_from_boxes, score
from shopfloor_edge.analytics.lines import Crossing, Direction

FIRST_FRAME = 400
TIMEOUT_S = 300


def motion_f1(clip: Path, boxes: Path) -> dict[str, float]:
    """Return F1 of each line, and of all together as ``all``."""
    from_s = FIRST_FRAME / FPS
    truth = [one for one in crossings_from_boxes(boxes, LINES) if one.at_s >= from_s]
    counted = [one for one in _count(clip) if one.at_s >= from_s]
    scores = [score(line.name, truth, counted) for line in LINES]
    right = sum(one.true_positive for one in scores)
    everything = 2 * right / sum(one.truth + one.counted for one in scores)
    return {one.name: round(one.f1, 3) for one in scores} | {"all": round(everything, 3)}


def _count(clip: Path) -> list[Crossing]:
    with tempfile.TemporaryDirectory(prefix="shopfloor-motion-") as name:
        folder = Path(name)
        (folder / "site.toml").write_text(_site(clip))
        files = {"--site": "site.toml", "--state": "state", "--crossings": "crossings.jsonl"}
        options = [text for flag, file in files.items() for text in (flag, str(folder / file))]
        command = [sys.executable, "-m", "shopfloor_edge.main", "--log-level", "error", "vision"]
        subprocess.run([*command, *options], timeout=TIMEOUT_S, check=True)
        rows = [json.loads(row) for row in (folder / "crossings.jsonl").read_text().splitlines()]
    return [
        Crossing(row["line"], row["track"], Direction(row["direction"]), row["at_s"])
        for row in rows
    ]


def _site(clip: Path) -> str:
    lines = "".join(
        f'[[cameras.lines]]\nname = "{line.name}"\na = {list(line.a)}\nb = {list(line.b)}\n'
        for line in LINES
    )
    return (
        'site = "bench"\ndevice = "here"\n[model]\nbackend = "motion"\n'
        f'[[cameras]]\nname = "vtest"\nuri = {json.dumps(str(clip))}\n{lines}'
    )
