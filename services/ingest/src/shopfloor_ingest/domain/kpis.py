"""Figures from sums: what a row of a report says, and what it is compared with. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from math import sqrt

from shopfloor_contracts.aggregates import DWELL_EDGES_S, LATENCY_EDGES_MS
from shopfloor_contracts.events import Kind
from shopfloor_ingest.domain.percentiles import percentile
from shopfloor_ingest.domain.periods import BUCKETS, Period
from shopfloor_ingest.domain.rollups import FIGURE, HISTOGRAM_BUCKETS, SHAPES, Shape

Figures = dict[str, float | None]
Models = tuple[str, str]
"""The smallest and the largest digest of a group."""
SHARES = {"p50": 0.5, "p90": 0.9, "p95": 0.95}


class By(StrEnum):
    """What a row of a report is about."""

    SITE = "site"
    CAMERA = "camera"
    ZONE = "zone"
    """A zone, a line, a slot, or a rule and what it is about: whatever the kind counts."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked; without a ``site``, of all. ``after``: last row's key of the page before."""

    kind: str
    period: Period
    by: By
    site: str = ""
    camera: str | None = None
    zone: str | None = None
    limit: int = 1000
    after: tuple[str | int, ...] | None = None

    @property
    def shape(self) -> Shape:
        """What the kind is summed to."""
        return SHAPES[self.kind]

    @property
    def keys(self) -> tuple[str, ...]:
        """Columns that name a row of the answer, in its order."""
        names = self.shape.names if self.by is By.ZONE else ()
        camera = () if self.by is By.SITE else ("camera",)
        return ("bucket_start", "site", *camera, *names)


@dataclass(frozen=True, slots=True)
class KpiRow:
    """One bucket of one thing.

    ``coverage_ratio`` is None where no window is behind it (alerts, feedback); ``model_digest`` is
    None where several models have counted.
    """

    bucket_start: datetime
    names: Mapping[str, str]
    reported_s: float
    coverage_ratio: float | None
    degraded_ratio: float | None
    model_digest: str | None
    figures: Figures

    @property
    def key(self) -> tuple[str | int, ...]:
        """What names it, as ``Question.keys`` does."""
        return (int(self.bucket_start.timestamp()), *self.names.values())


@dataclass(frozen=True, slots=True)
class Page:
    """Rows, the models behind the whole answer, and where the next page begins."""

    rows: Sequence[KpiRow]
    models: Sequence[str]
    coverage_ratio: float | None
    after: tuple[str | int, ...] | None


@dataclass(frozen=True, slots=True)
class Change:
    """One thing in one stretch and a week before, over what was counted in both."""

    names: Mapping[str, str]
    buckets: int
    now: KpiRow
    before: KpiRow


def aligned(period: Period) -> Period:
    """Return the whole buckets that ``period`` touches."""
    length = BUCKETS[period.bucket]
    start = int(period.start.timestamp()) // length * length
    end = -(-int(period.end.timestamp()) // length) * length
    first, last = datetime.fromtimestamp(start, UTC), datetime.fromtimestamp(end, UTC)
    return Period(first, last, period.bucket)


def figures_of(shape: Shape, sums: Mapping[str, int]) -> Figures:
    """Return the measures in their units (seconds for ``_ms``), then what follows from them."""
    found: Figures = {
        name: sums[column] / 1000 if is_ms else sums[column]
        for name, column, is_ms in _MEASURES[shape.kind]
    }
    found.update(_DERIVED.get(shape.kind, _nothing)(sums))
    return found


def row_of(
    shape: Shape, sums: Mapping[str, int], *, start_s: int, names: Mapping[str, str], models: Models
) -> KpiRow:
    """Build a row from its sums, and the smallest and largest model digest behind them."""
    window_ms = sums["window_ms"]
    first, last = models
    return KpiRow(
        bucket_start=datetime.fromtimestamp(start_s, UTC),
        names=names,
        reported_s=window_ms / 1000,
        coverage_ratio=ratio(sums["covered_ms"], window_ms),
        degraded_ratio=ratio(sums["degraded_ms"], window_ms),
        model_digest=first if first and first == last else None,
        figures=figures_of(shape, sums),
    )


def ratio(part: float, whole: float) -> float | None:
    """Return ``part`` of ``whole``; None of nothing."""
    return part / whole if whole else None


def _measures(shape: Shape) -> tuple[tuple[str, str, bool], ...]:
    """Return each plain measure: its name, its column, and whether that holds milliseconds."""
    columns = (*shape.counts, *shape.maxima)
    return tuple(
        (f"{name[:-3]}_s" if name.endswith("_ms") else name, name, name.endswith("_ms"))
        for name in columns
        # Millionths are told as what they stand for, by the kind's own figures.
        if not name.endswith("_micro")
    )


# Once for all: an answer has up to a thousand rows.
_MEASURES = {kind: _measures(shape) for kind, shape in SHAPES.items()}


def _nothing(_: Mapping[str, int]) -> Figures:
    return {}


def _occupancy(sums: Mapping[str, int]) -> Figures:
    return {"people_mean": ratio(sums["people_ms"], sums["observed_ms"])}


def _visits(sums: Mapping[str, int], *, name: str, buckets: str, number: str) -> Figures:
    largest_s, counts = sums[f"{name}_max_ms"] / 1000, _histogram(sums, buckets)
    found: Figures = {f"{name}_mean_s": ratio(sums[f"{name}_ms"] / 1000, sums[number])}
    for label, share in SHARES.items():
        value = percentile(counts, DWELL_EDGES_S, share, largest=largest_s)
        found[f"{name}_{label}_s"] = value
    return found


def _dwell(sums: Mapping[str, int]) -> Figures:
    return _visits(sums, name="dwell", buckets="visits", number="exits")


def _queue(sums: Mapping[str, int]) -> Figures:
    length: Figures = {"people_mean": ratio(sums["people_ms"], sums["observed_ms"])}
    return length | _visits(sums, name="wait", buckets="waits", number="served")


def _heat(sums: Mapping[str, int]) -> Figures:
    return {"people_mean": ratio(sums["people_ms"], sums["observed_ms"])}


def _shelf(sums: Mapping[str, int]) -> Figures:
    decided = sums["correct_ms"] + sums["empty_ms"] + sums["wrong_ms"]
    return {
        "correct_ratio": ratio(sums["correct_ms"], decided),
        "empty_ratio": ratio(sums["empty_ms"], decided),
    }


def _inspection(sums: Mapping[str, int]) -> Figures:
    """Return shares of the parts that were judged, and the time from trigger to verdict.

    What people say of a part (an escape, a false reject) counts when they say it, so that its
    share is of the verdicts of the same stretch, not of the same parts.
    """
    parts = sums["passed"] + sums["failed"] + sums["reviewed"]
    low, high = wilson(sums["failed"], parts)
    found: Figures = {
        "parts": parts,
        "defect_ratio": ratio(sums["failed"], parts),
        "defect_low_ratio": low,
        "defect_high_ratio": high,
        "review_ratio": ratio(sums["reviewed"], parts),
        "missed_ratio": ratio(sums["missed"], parts + sums["missed"]),
        "escape_ratio": ratio(sums["escapes"], sums["passed"]),
        "false_reject_ratio": ratio(sums["false_rejects"], sums["failed"]),
    }
    counts = _histogram(sums, "latency", len(LATENCY_EDGES_MS) + 1)
    for label, share in SHARES.items():
        # No maximum is sent: whatever took longer than the last edge is told as that edge.
        value = percentile(counts, LATENCY_EDGES_MS, share, largest=LATENCY_EDGES_MS[-1])
        found[f"latency_{label}_s"] = None if value is None else value / 1000
    return found


def _audit(sums: Mapping[str, int]) -> Figures:
    """Return the accuracy that people measured, and its interval of 95 %."""
    right, effective = sums["right_milli"] / 1000, sums["effective_milli"] / 1000
    low, high = wilson(right, effective)
    return {
        "audited_accuracy": ratio(right, effective),
        "audited_low": low,
        "audited_high": high,
    }


def _feedback(sums: Mapping[str, int]) -> Figures:
    """Return how many alerts were right, of those that staff judged, and how soon they came.

    A verdict counts when it is said; one that is taken back in another bucket is taken from there,
    so that a bucket alone can hold less than nothing: it counts as nothing.
    """
    right, wrong = max(0, sums["said_right"]), max(0, sums["said_wrong"])
    low, high = wilson(right, right + wrong)
    return {
        "alert_precision": ratio(right, right + wrong),
        "alert_precision_low": low,
        "alert_precision_high": high,
        "alerts_judged": right + wrong,
        "acknowledged_mean_s": ratio(sums["acknowledged_ms"] / 1000, sums["acknowledged"]),
    }


def _sensor(sums: Mapping[str, int]) -> Figures:
    """Return the largest surprise and the highest chart; from 1 on a chart signals."""
    return {"score_max": sums["score_micro"] / 1e6, "level_max": sums["level_micro"] / 1e6}


def _figure(sums: Mapping[str, int]) -> Figures:
    """Return mean, lowest and highest, in the sensor's unit; no mean of what was not summed."""
    return {
        "mean": ratio(sums["total_micro"] / 1e6, sums["stretches"]),
        "minimum": -sums["below_micro"] / 1e6,
        "maximum": sums["highest_micro"] / 1e6,
    }


def wilson(part: float, whole: float) -> tuple[float, float] | tuple[None, None]:
    """Return the 95 % interval of a share (Wilson 1927); of nothing, no interval."""
    if whole == 0:
        return None, None
    z = 1.959964
    share, spread = part / whole, z * z / whole
    middle = (share + spread / 2) / (1 + spread)
    half = z * sqrt(share * (1 - share) / whole + spread / (4 * whole)) / (1 + spread)
    return max(0.0, middle - half), min(1.0, middle + half)


def _histogram(sums: Mapping[str, int], name: str, buckets: int = HISTOGRAM_BUCKETS) -> list[int]:
    return [sums[f"{name}_{i}"] for i in range(buckets)]


_DERIVED: dict[str, Callable[[Mapping[str, int]], Figures]] = {
    Kind.OCCUPANCY: _occupancy,
    Kind.DWELL: _dwell,
    Kind.QUEUE: _queue,
    Kind.HEAT: _heat,
    Kind.SHELF: _shelf,
    Kind.INSPECTION: _inspection,
    Kind.AUDIT: _audit,
    Kind.FEEDBACK: _feedback,
    Kind.SENSOR: _sensor,
    FIGURE: _figure,
}
