"""Where people walked in the last minutes, as vision recorded it (``vision.footsteps``)."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from shopfloor_edge.analytics.replay import Footprint

log = logging.getLogger(__name__)

FOLDER = "tracks"
TRAILS_MAX, POINTS_MAX = 120, 24


def footprints(state: Path, camera: str) -> Iterator[Footprint]:
    """Give the recorded frames in order; lines that are torn or not understood are passed over."""
    folder = state / FOLDER / camera
    for path in sorted(folder.glob("*.jsonl")) if folder.is_dir() else ():
        size = (16, 9)
        try:
            lines = path.read_text(encoding="ascii").splitlines()
        except (OSError, UnicodeDecodeError) as e:
            log.info("footsteps not read", extra={"reason": str(e)})
            continue
        for line in lines:
            try:
                found = json.loads(line)
                if isinstance(found, dict):
                    size = (int(found["size"][0]), int(found["size"][1]))
                else:
                    yield _footprint(found, size)
            except (ValueError, KeyError, TypeError, IndexError) as e:
                log.debug("a line of footsteps is not understood", extra={"reason": str(e)})


def trails(prints: Sequence[Footprint]) -> list[list[tuple[float, float]]]:
    """Return the ways of the newest tracks, few points of each, as shares of the picture."""
    ways: dict[int, list[tuple[float, float]]] = {}
    for one in prints:
        for track, (x, y) in zip(one.ids.tolist(), one.points.tolist(), strict=True):
            ways.setdefault(track, []).append((x, y))
    newest = list(ways.values())[-TRAILS_MAX:]
    return [[*way[:: max(1, len(way) // POINTS_MAX)], way[-1]] for way in newest if len(way) > 1]


def _footprint(found: list[object], size: tuple[int, int]) -> Footprint:
    rows = np.array(found[1], np.float64).reshape(-1, 3)
    at_s = found[0]
    if not isinstance(at_s, float | int):
        raise TypeError("no time")
    return Footprint(float(at_s), size, rows[:, 0].astype(np.int64), rows[:, 1:])
