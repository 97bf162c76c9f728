"""How well a shelf follows its planogram: the share of its slots that hold what they should."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from shopfloor_edge.analytics.shelf import SlotState, SlotSums


@dataclass(frozen=True, slots=True)
class Compliance:
    """Slots, or slot-seconds, by state."""

    correct: float
    empty: float
    wrong: float
    unknown: float = 0.0

    @property
    def ratio(self) -> float | None:
        """Correct among the decided, in [0, 1]; None while nothing is decided."""
        decided = self.correct + self.empty + self.wrong
        return self.correct / decided if decided > 0 else None


def compliance_now(states: Iterable[SlotState]) -> Compliance:
    """Return how many slots are in each state."""
    count = Counter(states)
    return Compliance(*(float(count[state]) for state in SlotState))


def compliance_over_time(slots: Mapping[str, SlotSums]) -> Compliance:
    """Return the slot-seconds in each state, over merged windows."""
    sums = list(slots.values())
    return Compliance(*(sum(one.seconds[state] for one in sums) for state in SlotState))
