"""Figures from sums: what a row of a report says, and what it is compared with. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from shopfloor_contracts.aggregates import DWELL_EDGES_S
from shopfloor_contracts.events import Kind
from shopfloor_ingest.domain.percentiles import percentile
from shopfloor_ingest.domain.periods import BUCKETS, Period
from shopfloor_ingest.domain.rollups import HISTOGRAM_BUCKETS, SHAPES, Shape

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

    kind: Kind
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

    ``coverage_ratio`` is None where no window is behind it (alerts); ``model_digest`` is None
    where several models have counted.
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
    histograms = {f"{name}_{i}" for name in shape.histograms for i in range(HISTOGRAM_BUCKETS)}
    columns = [name for name in (*shape.counts, *shape.maxima) if name not in histograms]
    return tuple(
        (f"{name[:-3]}_s" if name.endswith("_ms") else name, name, name.endswith("_ms"))
        for name in columns
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


def _histogram(sums: Mapping[str, int], name: str) -> list[int]:
    return [sums[f"{name}_{i}"] for i in range(HISTOGRAM_BUCKETS)]


_DERIVED = {
    Kind.OCCUPANCY: _occupancy,
    Kind.DWELL: _dwell,
    Kind.QUEUE: _queue,
    Kind.HEAT: _heat,
    Kind.SHELF: _shelf,
}
