"""A day beside the usual: the mean of the same weekday's last four. Pure.

Like is compared with like: a quarter of an hour counts only where today and a day before were
both watched, so that a camera that was down, or a day that is half over, looks like neither a good
nor a bad day.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, tzinfo

from shopfloor_contracts.events import Kind
from shopfloor_edge.journal.history import Stretch

WEEKS = 4
COVERED_MIN = 0.5
"""A quarter of an hour of which less was seen is not compared."""
QUARTERS = 96


@dataclass(frozen=True, slots=True)
class Measure:
    """What is shown of a kind: a sum, or one sum per another."""

    key: str
    """Of the texts on the page."""
    kind: Kind
    part: str
    per: tuple[str, ...] = ()
    unit: str = "count"
    """count, people, duration or share."""

    def of(self, stretches: Iterable[Stretch], days: int = 1) -> float | None:
        """Return the figure of some stretches, a sum per day; None where nothing is known."""
        found = list(stretches)
        part = sum(one.figures.get(self.part, 0.0) for one in found)
        if not self.per:
            return part / days if found and days else None
        whole = sum(one.figures.get(name, 0.0) for one in found for name in self.per)
        return part / whole if whole else None


MEASURES = (
    Measure("in", Kind.TRAFFIC, "in"),
    Measure("out", Kind.TRAFFIC, "out"),
    Measure("people", Kind.OCCUPANCY, "people_s", ("observed_s",), "people"),
    Measure("queue", Kind.QUEUE, "people_s", ("observed_s",), "people"),
    Measure("wait", Kind.QUEUE, "wait_s", ("served",), "duration"),
    Measure("visits", Kind.DWELL, "entries"),
    Measure("dwell", Kind.DWELL, "dwell_s", ("exits",), "duration"),
    Measure("empty", Kind.SHELF, "empty_s", ("correct_s", "empty_s", "wrong_s"), "share"),
    Measure("taken", Kind.SHELF, "removals"),
)


@dataclass(frozen=True, slots=True)
class Hour:
    """One hour of the day; None where nothing is known."""

    hour: int
    now: float | None
    usual: float | None


@dataclass(frozen=True, slots=True)
class Figure:
    """One measure of one line, zone or slot."""

    measure: Measure
    about: str
    value: float | None
    """Of the whole day so far."""
    like_now: float | None
    like_usual: float | None
    """Both over what can be compared."""
    days: int
    """With which it is compared, at most ``WEEKS``."""
    hours: Sequence[Hour]

    @property
    def change(self) -> float | None:
        """How much more than usual, as a share of the usual; None where that says nothing."""
        if self.like_now is None or not self.like_usual:
            return None
        return self.like_now / self.like_usual - 1


Quarters = dict[int, Stretch]
"""By the quarter of the local day."""


def days_of(day: date) -> list[date]:
    """Return a day and those it is compared with."""
    return [day - timedelta(weeks=week) for week in range(WEEKS + 1)]


def bounds(day: date, zone: tzinfo) -> tuple[float, float]:
    """Return where a local day begins and ends, in seconds since the epoch."""
    begin = datetime.combine(day, time(), zone)
    end = datetime.combine(day + timedelta(days=1), time(), zone)
    return begin.timestamp(), end.timestamp()


def figures_of(days: Sequence[Sequence[Stretch]], zone: tzinfo) -> list[Figure]:
    """Return every figure of a camera.

    Args:
        days: what is known of today, and of the days that it is compared with.
    """
    today = _by_thing(days[0], zone)
    before = [_by_thing(day, zone) for day in days[1:]]
    return [
        _figure(measure, about, today[kind, about], [day.get((kind, about), {}) for day in before])
        for measure in MEASURES
        for kind, about in sorted(today)
        if kind == measure.kind
    ]


def _by_thing(stretches: Iterable[Stretch], zone: tzinfo) -> dict[tuple[str, str], Quarters]:
    found: dict[tuple[str, str], Quarters] = {}
    for one in stretches:
        local = datetime.fromtimestamp(one.began_at, zone)
        # In autumn an hour comes twice; the second one stands for both.
        quarter = local.hour * 4 + local.minute // 15
        found.setdefault((one.kind, one.about), {})[quarter] = one
    return found


def _figure(measure: Measure, about: str, today: Quarters, before: Sequence[Quarters]) -> Figure:
    watched = {quarter for quarter, one in today.items() if _is_watched(one)}
    compared = [
        {quarter: one for quarter, one in day.items() if _is_watched(one)} for day in before
    ]
    compared = [day for day in compared if day.keys() & watched]
    alike = [
        (quarter, [day[quarter] for day in compared if quarter in day])
        for quarter in sorted(watched)
        if any(quarter in day for day in compared)
    ]
    like_now = measure.of(today[quarter] for quarter, _ in alike)
    return Figure(
        measure=measure,
        about=about,
        value=measure.of(today.values()),
        like_now=like_now,
        like_usual=_usual(measure, alike),
        days=len(compared),
        hours=_hours(measure, today, compared),
    )


def _usual(measure: Measure, alike: Sequence[tuple[int, list[Stretch]]]) -> float | None:
    if measure.per:
        return measure.of(one for _, others in alike for one in others)
    # Each quarter is the mean of those days that have it.
    means = [measure.of(others, len(others)) or 0.0 for _, others in alike]
    return sum(means) if means else None


def _hours(measure: Measure, today: Quarters, before: Sequence[Quarters]) -> list[Hour]:
    known = [quarter // 4 for day in (today, *before) for quarter in day]
    if not known:
        return []
    return [
        Hour(
            hour,
            measure.of(_in_hour(today, hour)),
            _mean(measure, [list(_in_hour(day, hour)) for day in before]),
        )
        for hour in range(min(known), max(known) + 1)
    ]


def _mean(measure: Measure, days: Sequence[Sequence[Stretch]]) -> float | None:
    known = [day for day in days if day]
    return measure.of((one for day in known for one in day), len(known))


def _in_hour(day: Quarters, hour: int) -> Iterable[Stretch]:
    return (day[quarter] for quarter in range(hour * 4, hour * 4 + 4) if quarter in day)


def _is_watched(one: Stretch) -> bool:
    return one.covered_s >= COVERED_MIN * one.window_s > 0


def coverage_of(stretches: Sequence[Stretch]) -> float | None:
    """Return the share of the time that was observed; None where nothing is known."""
    window_s = sum(one.window_s for one in stretches)
    return sum(one.covered_s for one in stretches) / window_s if window_s else None
