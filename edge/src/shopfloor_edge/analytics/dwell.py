"""Visits to a zone, and how long they were.

Definition: a visit begins on the first frame on which a track's foot point is inside the polygon,
and ends with the last frame before the foot point is more than ``EXIT_MARGIN`` outside. A person
who is hidden stays for ``GRACE_S``; a track that begins inside the zone near where another was
lost in that time goes on with its visit. A track that begins inside the zone beside a visible
person is counted only when both have been seen for ``DOUBLE_S``: a tracker that changes numbers
shows one person twice for a moment. A visit whose person never comes back ended when last
seen and is ``lost``: its length is a lower bound. Time between frames that are further apart than
the grace ends every visit, so an outage is never counted as dwelling.

Limits: someone who is there when the camera starts is counted from then; two people who swap
places while hidden swap visits.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from shopfloor_edge.analytics.clock import SteadyClock
from shopfloor_edge.analytics.zones import distances, inside

EXIT_MARGIN = 0.02
"""In frame heights: twice what a standing person's box jitters by."""
GRACE_S = 2.0
"""Twice as long as the tracker keeps a lost track."""
LINK_DISTANCE = 0.15
"""In frame heights: how far a hidden person is looked for, about a step or two."""
DOUBLE_DISTANCE = 0.1
"""In frame heights: nearer than two people usually stand to each other."""
DOUBLE_S = 1.0
"""As long as a tracker keeps a track that another one has replaced."""
BUCKETS = 8

Points = NDArray[np.floating]


@dataclass(frozen=True, slots=True)
class Visit:
    """A visit that is over."""

    zone: str
    track: int
    entered_at_s: float
    """Time of its first frame, by the frames' clock."""
    dwell_s: float
    lost: bool


@dataclass(frozen=True, slots=True)
class Stay:
    """A visit that goes on."""

    number: int
    """Unique in this zone."""
    track: int
    dwell_s: float


@dataclass(frozen=True, slots=True)
class VisitChanges:
    """What one frame changed."""

    entered: tuple[int, ...] = ()
    """Tracks whose visit begins."""
    ended: tuple[Visit, ...] = ()


@dataclass(slots=True)
class _Open:
    number: int
    track: int
    entered_at_s: float
    began_s: float
    seen_s: float
    point: NDArray[np.float64]
    """Last foot point, in frame heights."""
    beside: int | None = None
    """Track of whom this may be the double."""
    counted: bool = False


class ZoneVisits:
    """Visits to one zone of one camera.

    Args:
        polygon: corners as shares of the frame's width and height.
        link_distance: how far away a hidden person may reappear as another track, in frame
            heights; 0 where track numbers are known to be right.
    """

    def __init__(
        self,
        name: str,
        polygon: Sequence[tuple[float, float]],
        *,
        link_distance: float = LINK_DISTANCE,
    ) -> None:
        self.name, self._link_distance = name, link_distance
        self._polygon = np.array(polygon, np.float64)
        self._clock = SteadyClock()
        self._open: dict[int, _Open] = {}
        self._outside: dict[int, float] = {}
        self._visits = 0

    @property
    def count(self) -> int:
        """People in the zone, those hidden for a moment too."""
        return sum(visit.counted for visit in self._open.values())

    def present(self) -> list[Stay]:
        """Return the visits that go on, the longest first."""
        counted = [visit for visit in self._open.values() if visit.counted]
        stays = [Stay(v.number, v.track, v.seen_s - v.began_s) for v in counted]
        return sorted(stays, key=lambda stay: (-stay.dwell_s, stay.number))

    def update(
        self, ids: NDArray[np.int64], points: Points, *, size: tuple[int, int], at_s: float
    ) -> VisitChanges:
        """Take one frame's tracks.

        Args:
            ids: ``(T,)`` track numbers.
            points: ``(T, 2)`` foot points in pixels.
            size: width and height of the frame in pixels.
            at_s: time of the frame; may jump.
        """
        self._clock.tick(at_s)
        # Before the newcomers: after a gap nobody may take over a visit from before it.
        ended = self._end_lost()
        scaled = np.asarray(points, np.float64).reshape(-1, 2) / size[1]
        polygon = self._polygon * np.array([size[0] / size[1], 1.0])
        within = inside(scaled, polygon)
        near = within | (distances(scaled, polygon) <= EXIT_MARGIN)
        here = set(ids.tolist())
        for track, point, is_in, is_near in zip(ids.tolist(), scaled, within, near, strict=True):
            if track in self._open:
                ended += self._go_on(track, point, stays=bool(is_near))
            elif is_in and not self._take_over(track, point, here):
                self._begin(track, point, at_s, beside=self._neighbour(track, point, here))
            elif not is_in:
                self._outside[track] = self._clock.now_s
        self._forget()
        return VisitChanges(self._settle_doubles(here), tuple(ended))

    def close(self) -> VisitChanges:
        """End every visit where it was last seen: the end of a file, or the process stops."""
        ended = [visit for v in self._open.values() for visit in self._visit(v, lost=True)]
        self._open.clear()
        return VisitChanges((), tuple(ended))

    def _begin(
        self, track: int, point: NDArray[np.float64], at_s: float, *, beside: int | None
    ) -> None:
        now_s = self._clock.now_s
        self._visits += 1
        self._open[track] = _Open(self._visits, track, at_s, now_s, now_s, point, beside)

    def _neighbour(self, track: int, point: NDArray[np.float64], here: set[int]) -> int | None:
        """Return the track of whom one that begins inside may be the double."""
        if track in self._outside or self._link_distance <= 0:
            return None
        away = {
            other: float(np.hypot(*(visit.point - point)))
            for other, visit in self._open.items()
            if other in here and visit.began_s < self._clock.now_s
        }
        nearest = min(away, key=lambda other: away[other], default=None)
        return nearest if nearest is not None and away[nearest] < DOUBLE_DISTANCE else None

    def _settle_doubles(self, here: set[int]) -> tuple[int, ...]:
        """Return the tracks that are somebody new; hand visits on to those that are doubles."""
        entered = []
        for visit in [visit for visit in self._open.values() if not visit.counted]:
            other = None if visit.beside is None else self._open.get(visit.beside)
            if other is None or visit.seen_s - visit.began_s >= DOUBLE_S:
                visit.counted = True
                entered.append(visit.track)
            elif other.track not in here and visit.track in here:
                del self._open[other.track]
                other.track, other.seen_s, other.point = visit.track, visit.seen_s, visit.point
                self._open[visit.track] = other
        return tuple(entered)

    def _go_on(self, track: int, point: NDArray[np.float64], *, stays: bool) -> list[Visit]:
        visit = self._open[track]
        if stays:
            visit.seen_s, visit.point = self._clock.now_s, point
            return []
        del self._open[track]
        self._outside[track] = self._clock.now_s
        return self._visit(visit, lost=False)

    def _take_over(self, track: int, point: NDArray[np.float64], here: set[int]) -> bool:
        """Give a track that began inside the visit of one just lost nearby."""
        if track in self._outside:
            return False
        away = {
            lost: float(np.hypot(*(visit.point - point)))
            for lost, visit in self._open.items()
            if lost not in here
        }
        nearest = min(away, key=lambda lost: away[lost], default=None)
        if nearest is None or away[nearest] >= self._link_distance:
            return False
        visit = self._open.pop(nearest)
        visit.track, visit.seen_s, visit.point = track, self._clock.now_s, point
        self._open[track] = visit
        return True

    def _end_lost(self) -> list[Visit]:
        gone = [v for v in self._open.values() if self._clock.now_s - v.seen_s > GRACE_S]
        for visit in gone:
            del self._open[visit.track]
        return [ended for visit in gone for ended in self._visit(visit, lost=True)]

    def _visit(self, visit: _Open, *, lost: bool) -> list[Visit]:
        """Return the visit that is over; none when it was never counted."""
        dwell_s = visit.seen_s - visit.began_s
        over = Visit(self.name, visit.track, visit.entered_at_s, dwell_s, lost)
        return [over] if visit.counted else []

    def _forget(self) -> None:
        old_s = self._clock.now_s - GRACE_S
        self._outside = {track: seen for track, seen in self._outside.items() if seen >= old_s}


@dataclass(slots=True)
class DwellSums:
    """Mergeable figures of the visits to one zone in one window.

    A visit counts where it began and dwells where it ended, so windows never count one twice.
    """

    edges_s: Sequence[float]
    """Lower bounds of the histogram's buckets from the second on."""
    observed_s: float = 0.0
    entries: int = 0
    exits: int = 0
    lost: int = 0
    dwell_s: float = 0.0
    dwell_max_s: float = 0.0
    histogram: list[int] = field(default_factory=lambda: [0] * BUCKETS)

    def hold(self, _level: object, seconds: float) -> None:
        """Count time in which the zone was observed."""
        self.observed_s += seconds

    def add(self, changes: VisitChanges) -> None:
        """Count what one frame changed."""
        self.entries += len(changes.entered)
        for visit in changes.ended:
            self.exits += 1
            self.lost += visit.lost
            self.dwell_s += visit.dwell_s
            self.dwell_max_s = max(self.dwell_max_s, visit.dwell_s)
            self.histogram[bisect_right(self.edges_s, visit.dwell_s)] += 1
