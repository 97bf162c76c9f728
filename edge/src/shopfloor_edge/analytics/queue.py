"""A queue: how long it is, and how long people wait.

Definition: everyone on a visit (``dwell.ZoneVisits``) to the queue's zone stands in the queue; who
leaves the zone is served, and the length of the visit is the wait. Little's law (L = λW: Little,
Operations Research 9, 1961) ties the three together, so each can be checked by the others.

Limits: a zone cannot tell who gave up from who was served, nor who walks through from who waits:
draw it where only the queue stands.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field

from shopfloor_edge.analytics.dwell import BUCKETS, VisitChanges, ZoneVisits


@dataclass(slots=True)
class QueueSums:
    """Mergeable figures of one queue in one window."""

    length_edges: Sequence[int]
    wait_edges_s: Sequence[float]
    observed_s: float = 0.0
    people_s: float = 0.0
    people_max: int = 0
    length_histogram_s: list[float] = field(default_factory=lambda: [0.0] * BUCKETS)
    joined: int = 0
    served: int = 0
    lost: int = 0
    wait_s: float = 0.0
    wait_max_s: float = 0.0
    wait_histogram: list[int] = field(default_factory=lambda: [0] * BUCKETS)

    def hold(self, length: int, seconds: float) -> None:
        """Count time in which ``length`` people stood in the queue."""
        self.observed_s += seconds
        self.people_s += length * seconds
        self.people_max = max(self.people_max, length)
        self.length_histogram_s[bisect_right(self.length_edges, length)] += seconds

    def add(self, changes: VisitChanges) -> None:
        """Count who came and who left on one frame."""
        self.joined += len(changes.entered)
        for visit in changes.ended:
            self.served += 1
            self.lost += visit.lost
            self.wait_s += visit.dwell_s
            self.wait_max_s = max(self.wait_max_s, visit.dwell_s)
            self.wait_histogram[bisect_right(self.wait_edges_s, visit.dwell_s)] += 1


@dataclass(frozen=True, slots=True)
class LittleCheck:
    """Little's law over a stretch of observed time."""

    length: float
    """L: mean people in the queue."""
    arrivals_per_s: float
    """λ"""
    wait_s: float
    """W: mean wait of those who left."""

    @property
    def ratio(self) -> float | None:
        """λW / L: 1 when length and wait agree; None for a queue that was empty.

        Far below 1, waits are cut short (tracks lost); far above, people are missing from the
        length. Over a stretch not much longer than a wait, it is noise.
        """
        return self.arrivals_per_s * self.wait_s / self.length if self.length > 0 else None


def little(sums: QueueSums) -> LittleCheck | None:
    """Return the check for merged sums; None when nothing was observed or nobody left."""
    if sums.observed_s <= 0 or sums.served == 0:
        return None
    return LittleCheck(
        sums.people_s / sums.observed_s,
        sums.joined / sums.observed_s,
        sums.wait_s / sums.served,
    )


def longest_wait_s(visits: ZoneVisits) -> float:
    """Return how long the first in the queue has waited; 0 when it is empty."""
    return max((stay.dwell_s for stay in visits.present()), default=0.0)
