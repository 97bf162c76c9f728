"""A camera's day for the uplink's bench: real windows, spread over 24 hours.

``vtest.avi`` (people) and ``bottle-detection.mp4`` (a shelf) go once through the vision process
with windows of 5 s. A minute of the day is twelve slots; each slot is one recorded window, drawn
from a seed, with the hour's probability, and else a window in which nobody was seen and nothing
moved on the shelf. The twelve are added up by the contract's own rules: sums and histograms add,
maxima take the larger. Nothing here was used to train the dictionary.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from shopfloor_contracts.aggregates import DwellData, HeatData, QueueData, ShelfData
from shopfloor_contracts.events import EventData, OccupancyData, TrafficData
from shopfloor_contracts.windows import Window
from shopfloor_demo.shelf import kept_truth
from shopfloor_edge.journal.outbox import Outbox
from shopfloor_edge.journal.state import read_state

AGGREGATES = (TrafficData, OccupancyData, DwellData, QueueData, HeatData, ShelfData)
SLOT_S, SLOTS = 5, 12
OPEN_SHARE = [0] * 8 + [0.15, 0.3, 0.45, 0.6, 0.75, 0.6, 0.45, 0.45, 0.6, 0.8, 0.9, 0.6, 0.3] + [
    0.05, 0, 0
]  # fmt: skip
"""Share of the slots of each UTC hour in which somebody is there: open from 8 to 22, two peaks."""
HIGHEST = {"people_max", "dwell_max_s", "wait_max_s"}
SAME = {"window_start", "window_s", "coverage_ratio", "model_digest", "zone_version", "backend",
        "precision", "degraded", "line", "zone", "slot", "state"}  # fmt: skip
SITE = """site = "store-17"
device = "till-1"
window_s = {window_s}
[model]
bundle = "yolox-nano"
[[cameras]]
name = "door"
uri = "{uri}"
{drawn}
"""
PEOPLE = """heat = true
lines = [{name = "entrance", a = [0.45, 0.24], b = [0.45, 0.56]}]
zones = [
  {name = "square", analytics = ["occupancy", "dwell"], polygon = [[0.47, 0.33], [0.80, 0.28],
    [0.94, 0.62], [0.62, 0.70], [0.47, 0.57]]},
  {name = "till", analytics = ["occupancy", "queue"], polygon = [[0.1, 0.3], [0.45, 0.3],
    [0.45, 0.8], [0.1, 0.8]]},
]
"""


def shelf_drawn() -> str:
    """Return the slots of the shelf's truth, as a site file has them."""
    return "\n".join(
        f"[[cameras.slots]]\nname = {json.dumps(slot.name)}\nbox = {list(slot.box)}\n"
        f"expects = {json.dumps(slot.expects)}"
        for slot in kept_truth().slots
    )


def record(folder: Path, clip: Path, drawn: str) -> tuple[dict[str, list[dict[str, Any]]], float]:
    """Return the clip's windows by kind of event, and its video's bytes per second."""
    folder.mkdir(parents=True, exist_ok=True)
    site, state = folder / "site.toml", folder / "state"
    site.write_text(SITE.format(window_s=SLOT_S, uri=clip, drawn=drawn))
    if not (folder / "done").exists():
        argv = [sys.executable, "-m", "shopfloor_edge.main", "--log-level", "warning", "vision"]
        subprocess.run([*argv, "--site", str(site), "--state", str(state)], check=True)
        (folder / "done").touch()
    outbox = Outbox(state, max_rows=10**6, max_bytes=10**9)
    windows: dict[str, list[dict[str, Any]]] = {}
    seen_s: dict[str, float] = defaultdict(float)
    for waiting in outbox.waiting(0, 10**6):
        data = waiting.event.data.model_dump(mode="json")
        seen_s[waiting.kind] += data["coverage_ratio"] * data["window_s"]
        if data["coverage_ratio"] > 0.9:
            windows.setdefault(str(waiting.kind), []).append(data)
    outbox.close()
    return windows, read_state(state).cameras[0].video_bytes / max(seen_s.values())


def minutes(
    windows: dict[str, list[dict[str, Any]]], start: datetime, seed: int
) -> Iterator[tuple[datetime, list[EventData]]]:
    """Yield the minutes of a day, each with one event of every kind."""
    draw = random.Random(seed)
    adapters = {kind: _data_type(kind) for kind in windows}
    for minute in range(24 * 60):
        at = start.replace(tzinfo=UTC) + timedelta(minutes=minute)
        busy = [draw.random() < OPEN_SHARE[at.hour] for _ in range(SLOTS)]
        events = []
        for kind, of_kind in windows.items():
            slots = [draw.choice(of_kind) if is_busy else None for is_busy in busy]
            merged = _merged(slots, of_kind[0])
            merged |= {"window_start": at.isoformat().replace("+00:00", "Z"), "window_s": 60.0}
            events.append(adapters[kind].model_validate(merged))
        yield at, events


def _data_type(kind: str) -> type[Window]:
    (found,) = [data for data in AGGREGATES if data.__name__ == f"{kind.title()}Data"]
    return found


def _merged(slots: list[dict[str, Any] | None], like: dict[str, Any]) -> dict[str, Any]:
    empty = _nobody(like)
    total = slots[0] or empty
    for slot in slots[1:]:
        total = _add(total, slot or empty)
    result: dict[str, Any] = _rounded(total)
    return result


def _nobody(node: Any, name: str = "") -> Any:
    """Return a window like ``node`` in which the camera saw nobody."""
    if name in SAME or node is None:
        return node
    if isinstance(node, dict):
        quiet = {key: _nobody(value, key) for key, value in node.items()}
        for histogram in ("histogram_s", "length_histogram_s"):
            if histogram in quiet:
                quiet[histogram] = [node["observed_s"]] + [0.0] * 7
        if "correct_s" in quiet:
            states = ("correct_s", "empty_s", "wrong_s", "unknown_s")
            quiet[f"{node['state']}_s"] = round(sum(node[state] for state in states), 3)
        return quiet
    if isinstance(node, list):
        return [_nobody(item) for item in node]
    return node if name in ("frames", "observed_s") else type(node)(0)


def _add(one: Any, other: Any, name: str = "") -> Any:
    if name in SAME or one is None:
        return other
    if isinstance(one, dict):
        return {key: _add(value, other[key], key) for key, value in one.items()}
    if isinstance(one, list):
        return [_add(a, b) for a, b in zip(one, other, strict=True)]
    return max(one, other) if name in HIGHEST else one + other


def _rounded(node: Any) -> Any:
    if isinstance(node, dict):
        return {
            key: [[round(cell, 1) for cell in row] for row in value]
            if key == "cells_s"
            else _rounded(value)
            for key, value in node.items()
        }
    if isinstance(node, list):
        return [_rounded(item) for item in node]
    return round(node, 3) if isinstance(node, float) else node
