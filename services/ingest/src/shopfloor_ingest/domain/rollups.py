"""What is summed per minute, hour and day, and how an event adds to it. Pure.

Seconds are summed as whole milliseconds: integer sums do not depend on the order in which events
arrive, so that sums kept while events come equal sums made again from what is stored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from operator import add
from typing import Any

from shopfloor_contracts.aggregates import (
    LATENCY_EDGES_MS,
    DwellData,
    HeatData,
    InspectionData,
    QueueData,
    SensorData,
    ShelfData,
)
from shopfloor_contracts.alerts import AlertData, AlertState
from shopfloor_contracts.audits import AuditData
from shopfloor_contracts.events import EventData, Kind, OccupancyData, TrafficData
from shopfloor_contracts.feedback import FeedbackAction, FeedbackData, Verdict
from shopfloor_contracts.windows import Window
from shopfloor_ingest.domain.periods import BUCKETS

HISTOGRAM_BUCKETS = 8
DEFECT = "defect"
"""Beside the verdicts of an inspection, how many parts have which defect or doubt."""
FIGURE = "figure"
"""Beside how long a sensor was in which state, the sums of each of its figures."""
MICRO_MAX = 9 * 10**13
"""Of one event: a hundred thousand of them, a day of seconds, still fit into 64 bits."""
KEY = ("site", "bucket_s", "bucket_start", "camera", "device", "model_digest")
WINDOW_SUMS = ("windows", "window_ms", "covered_ms", "frames", "degraded_ms")

Key = tuple[Any, ...]
"""Values of ``KEY``, then those of the shape's ``names``."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What events of one kind are summed to; some kinds have two.

    A histogram is ``buckets`` sums, ``NAME_0``, ``NAME_1`` and so on.
    """

    kind: str
    """A ``Kind``, or what else its table and its figures are called."""
    names: tuple[str, ...]
    counts: tuple[str, ...]
    histograms: tuple[str, ...] = ()
    maxima: tuple[str, ...] = ()
    grid: bool = False
    buckets: int = HISTOGRAM_BUCKETS

    @property
    def keys(self) -> tuple[str, ...]:
        """Columns that name a row."""
        return (*KEY, *self.names)

    @property
    def sums(self) -> tuple[str, ...]:
        """Columns that merge by addition."""
        return (*WINDOW_SUMS, *self.counts, *self.histogram_sums)

    @property
    def histogram_sums(self) -> tuple[str, ...]:
        """Those of them that are buckets of a histogram."""
        return tuple(f"{name}_{i}" for name in self.histograms for i in range(self.buckets))


SHAPES: dict[str, Shape] = {
    shape.kind: shape
    for shape in (
        Shape(Kind.TRAFFIC, ("line",), ("crossings_in", "crossings_out")),
        Shape(
            Kind.OCCUPANCY, ("zone",), ("people_ms", "observed_ms"), ("level_ms",), ("people_max",)
        ),
        Shape(
            Kind.DWELL,
            ("zone",),
            ("observed_ms", "entries", "exits", "lost", "dwell_ms"),
            ("visits",),
            ("dwell_max_ms",),
        ),
        Shape(
            Kind.QUEUE,
            ("zone",),
            ("observed_ms", "people_ms", "joined", "served", "lost", "wait_ms"),
            ("length_ms", "waits"),
            ("people_max", "wait_max_ms"),
        ),
        Shape(Kind.HEAT, (), ("observed_ms", "people_ms"), grid=True),
        Shape(
            Kind.SHELF,
            ("slot",),
            (
                *("correct_ms", "empty_ms", "wrong_ms", "unknown_ms", "hidden_ms"),
                *("removals", "returns"),
            ),
        ),
        Shape(
            Kind.INSPECTION,
            ("station",),
            (
                *("passed", "failed", "reviewed", "missed"),
                *("escapes", "false_rejects", "confirmed", "stops", "alerted_ms", "stopped_ms"),
            ),
            ("latency",),
            buckets=len(LATENCY_EDGES_MS) + 1,
        ),
        Shape(DEFECT, ("station", "sort", "name"), ("parts", "places")),
        Shape(
            Kind.SENSOR,
            ("machine",),
            (
                *("refused", "learning_ms", "normal_ms", "drifting_ms", "abrupt_ms"),
                *("stuck_ms", "silent_ms"),
            ),
            maxima=("score_micro", "level_micro"),
        ),
        Shape(
            FIGURE,
            ("machine", "name", "unit"),
            ("stretches", "unsummed", "total_micro"),
            maxima=("highest_micro", "below_micro"),
        ),
        Shape(
            Kind.ALERT,
            ("about", "rule", "severity"),
            ("raised", "cleared", "noisy", "suppressed"),
        ),
        Shape(
            Kind.AUDIT,
            ("subject", "sort", "zone_version"),
            ("clips", "agreed", "missed", "false_items", "effective_milli", "right_milli"),
        ),
        Shape(
            Kind.FEEDBACK,
            ("about", "rule", "metric"),
            (
                *("said_right", "said_wrong"),
                *("acknowledged", "snoozed", "escalated", "acknowledged_ms"),
            ),
        ),
    )
}


@dataclass(frozen=True, slots=True)
class Origin:
    """Whose event it is."""

    site: str
    device: str
    camera: str


@dataclass(slots=True)
class Sums:
    """What a row holds so far; merges in place."""

    sums: list[int]
    maxima: list[int]
    cells: list[int]
    """Tenths of person-seconds per cell, row by row; empty without a grid."""

    def add(self, sums: list[int], maxima: list[int], cells: list[int]) -> None:
        """Merge what another event says into this."""
        self.sums = list(map(add, self.sums, sums))
        self.maxima = list(map(max, self.maxima, maxima))
        self.cells = list(map(add, self.cells, cells))


Rollups = dict[str, dict[Key, Sums]]


def began_at(data: EventData, said_at: datetime) -> int:
    """Return the second (epoch) at which an event counts: a window counts where it begins."""
    if isinstance(data, Window):
        return int(data.window_start.timestamp())
    at = data.at if isinstance(data, AlertData | AuditData | FeedbackData) else said_at
    return int(at.timestamp())


def collect(events: Iterable[tuple[Origin, EventData]]) -> Rollups:
    """Sum events per kind, bucket and thing; kinds that are not summed are passed over."""
    found: Rollups = {}
    for origin, data in events:
        for read in _READERS.get(type(data), ()):
            kind, parts = read(data)
            _add(found.setdefault(kind, {}), origin, data, parts)
    return found


def _add(rows: dict[Key, Sums], origin: Origin, data: EventData, parts: list[_Part]) -> None:
    began_s = began_at(data, _UNUSED)
    digest = data.model_digest if isinstance(data, Window | AuditData) else ""
    site, camera, device = origin.site, origin.camera, origin.device
    for bucket_s in _LENGTHS_S:
        prefix = (site, bucket_s, began_s - began_s % bucket_s, camera, device, digest)
        for names, sums, maxima, cells in parts:
            key = prefix + names
            row = rows.get(key)
            if row is None:
                # Rows may share these lists: ``add`` makes new ones.
                rows[key] = Sums(sums, maxima, cells)
            else:
                row.add(sums, maxima, cells)


_LENGTHS_S = tuple(BUCKETS.values())
_UNUSED = datetime.fromtimestamp(0, UTC)
_Part = tuple[tuple[str, ...], list[int], list[int], list[int]]
_Parts = tuple[str, list[_Part]]


def _ms(seconds: float) -> int:
    return round(seconds * 1000)


def _base(window: Window) -> list[int]:
    window_ms = _ms(window.window_s)
    covered_ms = _ms(window.window_s * window.coverage_ratio)
    return [1, window_ms, covered_ms, window.frames, window_ms if window.degraded else 0]


def _traffic(data: TrafficData) -> _Parts:
    base = _base(data)
    return Kind.TRAFFIC, [
        ((line.line,), [*base, line.crossings_in, line.crossings_out], [], [])
        for line in data.lines
    ]


def _occupancy(data: OccupancyData) -> _Parts:
    base = _base(data)
    return Kind.OCCUPANCY, [
        (
            (z.zone,),
            [*base, _ms(z.people_s), _ms(z.observed_s), *map(_ms, z.histogram_s)],
            [z.people_max],
            [],
        )
        for z in data.zones
    ]


def _dwell(data: DwellData) -> _Parts:
    base = _base(data)
    return Kind.DWELL, [
        (
            (z.zone,),
            [*base, _ms(z.observed_s), z.entries, z.exits, z.lost, _ms(z.dwell_s), *z.histogram],
            [_ms(z.dwell_max_s)],
            [],
        )
        for z in data.zones
    ]


def _queue(data: QueueData) -> _Parts:
    parts: list[_Part] = []
    for z in data.zones:
        counts = [_ms(z.observed_s), _ms(z.people_s), z.joined, z.served, z.lost, _ms(z.wait_s)]
        buckets = [*map(_ms, z.length_histogram_s), *z.wait_histogram]
        maxima = [z.people_max, _ms(z.wait_max_s)]
        parts.append(((z.zone,), [*_base(data), *counts, *buckets], maxima, []))
    return Kind.QUEUE, parts


def _heat(data: HeatData) -> _Parts:
    cells = [round(cell * 10) for row in data.cells_s for cell in row]
    return Kind.HEAT, [((), [*_base(data), _ms(data.observed_s), _ms(data.people_s)], [], cells)]


def _shelf(data: ShelfData) -> _Parts:
    parts: list[_Part] = []
    for s in data.slots:
        spent = (s.correct_s, s.empty_s, s.wrong_s, s.unknown_s, s.hidden_s)
        sums = [*_base(data), *map(_ms, spent), s.removals, s.returns]
        parts.append(((s.slot,), sums, [], []))
    return Kind.SHELF, parts


def _inspection(data: InspectionData) -> _Parts:
    base = _base(data)
    verdicts = [data.passed, data.failed, data.reviewed, data.missed]
    said = [data.escapes, data.false_rejects, data.confirmed, data.stops]
    line = [base[1] if data.line == state else 0 for state in ("alerted", "stopped")]
    sums = [*base, *verdicts, *said, *line, *data.latency_histogram]
    return Kind.INSPECTION, [((data.station,), sums, [], [])]


def _defect(data: InspectionData) -> _Parts:
    base = _base(data)
    counts = [("defect", one) for one in data.defects] + [("doubt", one) for one in data.doubts]
    return DEFECT, [
        ((data.station, sort, one.name), [*base, one.parts, one.places], [], [])
        for sort, one in counts
    ]


def _micro(value: float) -> int:
    return round(value * 1_000_000)


def _sensor(data: SensorData) -> _Parts:
    base = _base(data)
    states = ("learning", "normal", "drifting", "abrupt", "stuck", "silent")
    spent = [base[1] if data.state == state else 0 for state in states]
    maxima = [_micro(data.score_max), _micro(data.level_max)]
    return Kind.SENSOR, [((data.machine,), [*base, data.refused, *spent], maxima, [])]


def _figure(data: SensorData) -> _Parts:
    base, parts = _base(data), list[_Part]()
    for one in data.figures:
        total = _micro(one.total)
        # What would break the sums of others is counted and left out, not cut off in silence.
        fits = abs(total) <= MICRO_MAX
        counts = [one.count, 0, total] if fits else [0, one.count, 0]
        # The lowest value is the highest of what lies below zero: one merge for both.
        maxima = [_micro(one.maximum), _micro(-one.minimum)]
        parts.append(((data.machine, one.name, data.unit), [*base, *counts], maxima, []))
    return FIGURE, parts


def _alert(data: AlertData) -> _Parts:
    states = [int(data.state is state) for state in AlertState]
    names = (data.about or "", data.rule, str(data.severity))
    no_window = [0] * len(WINDOW_SUMS)
    return Kind.ALERT, [(names, [*no_window, *states, data.suppressed], [], [])]


def _audit(data: AuditData) -> _Parts:
    # Shares cannot be added: what an independent sample would have found can.
    effective = 0 if data.accuracy is None else _ms(data.effective)
    right = round(effective * (data.accuracy or 0.0))
    sums = [data.clips, data.agreed, data.missed, data.false, effective, right]
    names = (data.subject, str(data.sort), data.zone_version)
    return Kind.AUDIT, [(names, [*[0] * len(WINDOW_SUMS), *sums], [], [])]


def _feedback(data: FeedbackData) -> _Parts:
    # What is taken back is given back: the sums are right whatever arrives first.
    said = [
        int(data.verdict is verdict) - int(data.replaces is verdict)
        for verdict in (Verdict.RIGHT, Verdict.WRONG)
    ]
    done = [
        int(data.action is action)
        for action in (
            FeedbackAction.ACKNOWLEDGED,
            FeedbackAction.SNOOZED,
            FeedbackAction.ESCALATED,
        )
    ]
    waited_ms = _ms(data.after_s) if data.action is FeedbackAction.ACKNOWLEDGED else 0
    names = (data.about or "", data.rule, data.metric)
    sums = [*[0] * len(WINDOW_SUMS), *said, *done, waited_ms]
    return Kind.FEEDBACK, [(names, sums, [], [])]


_READERS: dict[type, tuple[Callable[[Any], _Parts], ...]] = {
    TrafficData: (_traffic,),
    OccupancyData: (_occupancy,),
    DwellData: (_dwell,),
    QueueData: (_queue,),
    HeatData: (_heat,),
    ShelfData: (_shelf,),
    InspectionData: (_inspection, _defect),
    SensorData: (_sensor, _figure),
    AlertData: (_alert,),
    AuditData: (_audit,),
    FeedbackData: (_feedback,),
}
