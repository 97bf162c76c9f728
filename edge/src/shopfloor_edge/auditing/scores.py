"""What a device counted in a clip beside what a person saw in it.

Each person, or slot, is one *item*: agreed, missed by the device, or false. Within one clip and
direction the smaller of the two counts agrees; errors of different clips never cancel out, so
that the figure is never better than the one that vendors print (all counted over all there were).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Score:
    """Items of one clip."""

    agreed: int = 0
    missed: int = 0
    false: int = 0

    def __add__(self, other: Score) -> Score:
        """Add up two clips."""
        return Score(
            self.agreed + other.agreed, self.missed + other.missed, self.false + other.false
        )

    @property
    def items(self) -> int:
        """Everything that was there or was said to be."""
        return self.agreed + self.missed + self.false

    @property
    def counted(self) -> int:
        """By the device."""
        return self.agreed + self.false

    @property
    def seen(self) -> int:
        """By the person."""
        return self.agreed + self.missed


def score_counts(counted: Sequence[int], seen: Sequence[int]) -> Score:
    """Compare counts of the same things, such as in and out; none is negative."""
    pairs = list(zip(counted, seen, strict=True))
    return Score(
        agreed=sum(min(pair) for pair in pairs),
        missed=sum(max(0, there - said) for said, there in pairs),
        false=sum(max(0, said - there) for said, there in pairs),
    )


def score_state(counted: str, seen: str) -> Score:
    """Compare the states of a slot: one item.

    A gap that the device did not tell is missed, and so is a state that it did not know; one that
    it told and that was not there, or that was of another sort, is false.
    """
    if counted == seen:
        return Score(agreed=1)
    if counted in ("correct", "unknown"):
        return Score(missed=1)
    return Score(false=1)
