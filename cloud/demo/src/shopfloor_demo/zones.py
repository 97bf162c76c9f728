"""Head counts and visits of zones on ``vtest.avi``, beside those of the annotated boxes.

Both go through the same analytics, so what differs is what detector and tracker do to them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from shopfloor_contracts.aggregates import DWELL_EDGES_S, QUEUE_EDGES
from shopfloor_demo.replay import Look
from shopfloor_demo.site import FULL_FRAME, VTEST, Corner
from shopfloor_demo.truth import FPS, SIZE
from shopfloor_edge.analytics.dwell import LINK_DISTANCE, DwellSums, ZoneVisits
from shopfloor_edge.analytics.lines import feet
from shopfloor_edge.analytics.queue import QueueSums, little
from shopfloor_edge.analytics.zones import ZoneCounter
from shopfloor_edge.tracking.bytetrack import ByteTracker

ZONES: dict[str, tuple[Corner, ...]] = {
    "square": tuple(VTEST.polygon),
    "left": ((0.0, 0.2), (0.4, 0.2), (0.4, 1.0), (0.0, 1.0)),
    "view": FULL_FRAME,
}
HELD_OUT_FROM = 400
"""Frames from here on were in no training and no choice of a threshold."""


@dataclass(frozen=True, slots=True)
class People:
    """The tracks of one frame."""

    ids: NDArray[np.int64]
    points: NDArray[np.floating]
    """``(T, 2)`` foot points in pixels."""


@dataclass(frozen=True, slots=True)
class ZoneFigures:
    """What one zone came to over a stretch of frames."""

    counts: NDArray[np.int64]
    """``(F,)`` people per frame."""
    dwell: DwellSums
    queue: QueueSums


def annotated(path: Path) -> Iterator[People]:
    """Yield the people of each frame of MOT15's ground truth, which counts from 1."""
    table = np.loadtxt(path, delimiter=",")
    for number in range(1, int(table[:, 0].max()) + 1):
        rows = table[table[:, 0] == number]
        corner = rows[:, 2:4] - 1.0
        boxes = np.concatenate([corner, corner + rows[:, 4:6]], axis=1)
        yield People(rows[:, 1].astype(np.int64), feet(boxes))


def tracked(looks: Iterable[Look]) -> Iterator[People]:
    """Yield the people of each frame as the device's tracker follows them."""
    tracker = ByteTracker(fps=FPS)
    for look in looks:
        tracks = tracker.update(look.boxes, look.scores, at_s=look.at_s)
        yield People(tracks.ids, feet(tracks.boxes))


def figures(name: str, frames: list[People], *, link_distance: float) -> ZoneFigures:
    """Run one zone's analytics over consecutive frames."""
    counter = ZoneCounter(name, list(ZONES[name]))
    visits = ZoneVisits(name, ZONES[name], link_distance=link_distance)
    dwell, queue = DwellSums(DWELL_EDGES_S), QueueSums(QUEUE_EDGES, DWELL_EDGES_S)
    counts = []
    for number, people in enumerate(frames):
        at_s = number / FPS
        changes = visits.update(people.ids, people.points, size=SIZE, at_s=at_s)
        counts.append(counter.count(people.points, size=SIZE))
        dwell.add(changes)
        dwell.hold(None, 1 / FPS)
        queue.add(changes)
        queue.hold(visits.count, 1 / FPS)
    ended = visits.close()
    dwell.add(ended)
    queue.add(ended)
    return ZoneFigures(np.array(counts), dwell, queue)


def compare(name: str, truth: list[People], found: list[People]) -> dict[str, object]:
    """Return one zone's errors; both lists are of the same frames."""
    # Annotated people keep their number while they are hidden: no visit is to be handed on.
    true = figures(name, truth, link_distance=0.0)
    seen = figures(name, found, link_distance=LINK_DISTANCE)
    check = little(seen.queue)
    return {
        "zone": name,
        "frames": len(truth),
        "people_mean_truth": round(float(true.counts.mean()), 3),
        "people_mean_counted": round(float(seen.counts.mean()), 3),
        "people_error": round(_error(true.counts.mean(), seen.counts.mean()), 4),
        "people_per_frame_error": round(float(np.abs(true.counts - seen.counts).mean()), 3),
        "visits_truth": true.dwell.exits,
        "visits_counted": seen.dwell.exits,
        "dwell_mean_s_truth": round(_mean_s(true.dwell), 2),
        "dwell_mean_s_counted": round(_mean_s(seen.dwell), 2),
        "dwell_mean_error": round(_error(_mean_s(true.dwell), _mean_s(seen.dwell)), 4),
        "dwell_total_error": round(_error(true.dwell.dwell_s, seen.dwell.dwell_s), 4),
        "histogram_truth": true.dwell.histogram,
        "histogram_counted": seen.dwell.histogram,
        "queue_length_error": round(_error(true.queue.people_s, seen.queue.people_s), 4),
        "little_ratio": None if check is None or check.ratio is None else round(check.ratio, 3),
    }


def _mean_s(sums: DwellSums) -> float:
    return sums.dwell_s / sums.exits if sums.exits else 0.0


def _error(truth: float, counted: float) -> float:
    """Return the signed relative error."""
    return float((counted - truth) / truth) if truth else 0.0
