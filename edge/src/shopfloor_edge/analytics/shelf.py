"""What stands in each slot of a shelf.

Definition: on one frame a slot is *correct* when a detected product of the expected class overlaps
its box by at least ``FIT_IOU``, *wrong* when another product does, *empty* when none does. A slot
that a person or hand covers by ``COVER_MIN`` says nothing on that frame: its state holds on. The
state changes after the same evidence over ``HOLD_S`` of uncovered time; a removal is a change to
empty, a return one from empty.

Limits: a slot is one facing; what stands behind it is not seen. Something that is no class of the
model looks like an empty slot. Whoever stands in front for long hides what they take until they
go.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from shopfloor_edge.analytics.clock import SteadyClock

FIT_IOU = 0.5
COVER_MIN = 0.15
"""Share of the slot."""
PRODUCT_SCORE_MIN = 0.3
COVER_SCORE_MIN = 0.25
"""A hand that is half believed is reason enough to wait."""
HOLD_S = 0.5
GAP_MAX_S = 2.0
"""Time between frames further apart proves nothing. A motion gate looks at least twice as often."""


class SlotState(StrEnum):
    """What a slot holds, beside what it should."""

    CORRECT = "correct"
    EMPTY = "empty"
    WRONG = "wrong"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Slot:
    """A place on a shelf."""

    name: str
    box: tuple[float, float, float, float]
    """x1, y1, x2, y2 as shares of the frame's width and height."""
    expects: str


@dataclass(frozen=True, slots=True)
class Objects:
    """What was detected on one frame, of one sort: products, or people and hands."""

    boxes: NDArray[np.floating]
    """``(N, 4)`` xyxy in pixels."""
    scores: NDArray[np.floating]
    """``(N,)`` in [0, 1]."""
    labels: Sequence[str]
    """``N`` class names."""


@dataclass(frozen=True, slots=True)
class SlotChange:
    """A slot holds something else from now on."""

    slot: str
    before: SlotState
    after: SlotState
    at_s: float
    """When it was decided, by the frames' clock."""

    @property
    def removal(self) -> bool:
        """Whether a product was taken."""
        return self.after is SlotState.EMPTY and self.before is not SlotState.UNKNOWN

    @property
    def returned(self) -> bool:
        """Whether a product was put into an empty slot."""
        return self.before is SlotState.EMPTY


@dataclass(frozen=True, slots=True)
class SlotReading:
    """One slot on one frame."""

    state: SlotState
    hidden: bool


@dataclass(slots=True)
class _Place:
    state: SlotState = SlotState.UNKNOWN
    hidden: bool = False
    seen: SlotState = SlotState.UNKNOWN
    held_s: float = 0.0


class ShelfMonitor:
    """Every slot of one camera."""

    def __init__(self, slots: Sequence[Slot]) -> None:
        self._slots = tuple(slots)
        self._clock = SteadyClock()
        self._places = {slot.name: _Place() for slot in slots}

    def readings(self) -> dict[str, SlotReading]:
        """Return the state of each slot as last decided."""
        return {name: SlotReading(p.state, p.hidden) for name, p in self._places.items()}

    def update(
        self, products: Objects, people: Objects, *, size: tuple[int, int], at_s: float
    ) -> list[SlotChange]:
        """Take one frame's detections.

        Args:
            products: what may stand in a slot.
            people: what may hide one; its labels are not read.
            size: width and height of the frame in pixels.
            at_s: time of the frame; may jump.
        """
        elapsed_s = self._clock.tick(at_s)
        elapsed_s = elapsed_s if elapsed_s <= GAP_MAX_S else 0.0
        boxes = np.array([slot.box for slot in self._slots]).reshape(-1, 4) * np.tile(size, 2)
        hidden = _hidden(boxes, people)
        seen = self._seen(boxes, products)
        changes = []
        for slot, cover, state in zip(self._slots, hidden, seen, strict=True):
            place = self._places[slot.name]
            place.hidden = bool(cover)
            if not cover and _decides(place, state, elapsed_s):
                changes.append(SlotChange(slot.name, place.state, state, at_s))
                place.state = state
        return changes

    def _seen(self, boxes: NDArray[np.float64], products: Objects) -> list[SlotState]:
        sure = np.flatnonzero(np.asarray(products.scores) >= PRODUCT_SCORE_MIN)
        inter, areas, sizes = _overlaps(boxes, np.asarray(products.boxes).reshape(-1, 4)[sure])
        fit = inter / np.maximum(areas[:, None] + sizes[None, :] - inter, 1e-9)
        found = []
        for slot, row in zip(self._slots, fit, strict=True):
            best = int(row.argmax()) if row.size else -1
            if best < 0 or row[best] < FIT_IOU:
                found.append(SlotState.EMPTY)
            else:
                right = products.labels[int(sure[best])] == slot.expects
                found.append(SlotState.CORRECT if right else SlotState.WRONG)
        return found


def _hidden(boxes: NDArray[np.float64], people: Objects) -> NDArray[np.bool_]:
    likely = np.asarray(people.scores) >= COVER_SCORE_MIN
    inter, areas, _ = _overlaps(boxes, np.asarray(people.boxes).reshape(-1, 4)[likely])
    covered: NDArray[np.bool_] = np.any(inter >= COVER_MIN * areas[:, None], axis=1)
    return covered


def _overlaps(
    a: NDArray[np.float64], b: NDArray[np.floating]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return the intersections ``(N, M)`` of boxes and the areas of both."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    inter = np.clip(high - low, 0.0, None).prod(axis=2)
    return inter, (a[:, 2:] - a[:, :2]).prod(axis=1), (b[:, 2:] - b[:, :2]).prod(axis=1)


def _decides(place: _Place, state: SlotState, elapsed_s: float) -> bool:
    """Add one uncovered frame's evidence; tell whether it is enough for another state."""
    if state is not place.seen:
        place.seen, place.held_s = state, 0.0
        return False
    place.held_s += elapsed_s
    return state is not place.state and place.held_s >= HOLD_S


@dataclass(slots=True)
class SlotSums:
    """Mergeable figures of one slot in one window."""

    seconds: dict[SlotState, float] = field(default_factory=lambda: dict.fromkeys(SlotState, 0.0))
    hidden_s: float = 0.0
    removals: int = 0
    returns: int = 0
    state: SlotState = SlotState.UNKNOWN
    """The last that was held."""

    def hold(self, reading: SlotReading, seconds: float) -> None:
        """Count time in which the slot was in a state."""
        self.seconds[reading.state] += seconds
        self.hidden_s += seconds if reading.hidden else 0.0
        self.state = reading.state

    def add(self, change: SlotChange) -> None:
        """Count one change."""
        self.removals += change.removal
        self.returns += change.returned
        self.state = change.after
