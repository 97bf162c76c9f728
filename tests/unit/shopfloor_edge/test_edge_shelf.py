from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shopfloor_edge.analytics.planogram import compliance_now, compliance_over_time
from shopfloor_edge.analytics.shelf import (
    HOLD_S,
    Objects,
    ShelfMonitor,
    Slot,
    SlotReading,
    SlotState,
    SlotSums,
)

SIZE = (1000, 500)
SLOT = Slot("left", (0.1, 0.2, 0.2, 0.8), "bottle")
THERE = (100.0, 100.0, 200.0, 400.0)
ABOVE = (100.0, -60.0, 200.0, 240.0)
ARM = (60.0, 0.0, 220.0, 260.0)


def objects(*found, score=0.9):
    boxes = np.array([box for box, _ in found]).reshape(-1, 4)
    return Objects(boxes, np.full(len(found), score), [label for _, label in found])


class Shelf:
    def __init__(self):
        self.monitor, self.at_s, self.changes = ShelfMonitor([SLOT]), 50.0, []

    def show(self, box=None, *, hand=None, label="bottle", seconds=2.0):
        products = objects((box, label)) if box else objects()
        people = objects((hand, "person"), score=0.4) if hand else objects()
        for _ in range(round(seconds * 10)):
            self.changes += self.monitor.update(products, people, size=SIZE, at_s=self.at_s)
            self.at_s += 0.1
        return self

    @property
    def state(self):
        return self.monitor.readings()["left"].state


def test_nothing_is_known_before_it_was_seen_for_a_while():
    assert Shelf().show(THERE, seconds=0.5).state is SlotState.UNKNOWN
    assert Shelf().show(THERE).state is SlotState.CORRECT


def test_a_bottle_that_is_taken_and_put_back_is_one_removal_and_one_return():
    shelf = Shelf().show(THERE).show().show(THERE)

    assert [(c.removal, c.returned) for c in shelf.changes[1:]] == [(True, False), (False, True)]


def test_the_first_look_is_neither_removal_nor_return():
    [first] = Shelf().show().changes
    [other] = Shelf().show(THERE).changes

    assert not any((first.removal, first.returned, other.removal, other.returned))


def test_a_detector_that_blinks_changes_nothing():
    shelf = Shelf().show(THERE)
    for _ in range(10):
        shelf.show(seconds=HOLD_S - 0.1).show(THERE, seconds=0.2)

    assert len(shelf.changes) == 1


def test_a_hand_in_front_of_an_empty_slot_is_no_bottle():
    shelf = Shelf().show().show(THERE, hand=ARM, seconds=3.0).show()

    assert len(shelf.changes) == 1


def test_a_bottle_behind_a_hand_was_not_taken():
    shelf = Shelf().show(THERE).show(hand=ARM, seconds=30.0).show(THERE)

    assert len(shelf.changes) == 1


def test_a_slot_says_that_it_is_hidden():
    shelf = Shelf().show(THERE).show(hand=ARM)

    assert shelf.monitor.readings()["left"] == SlotReading(SlotState.CORRECT, hidden=True)


def test_a_bottle_held_above_its_slot_is_not_in_it():
    assert Shelf().show(ABOVE).state is SlotState.EMPTY


def test_another_product_is_wrong():
    shelf = Shelf().show(THERE).show(THERE, label="cup")

    assert shelf.state is SlotState.WRONG
    assert not shelf.changes[-1].removal


def test_a_gap_between_frames_proves_nothing():
    shelf = Shelf().show(THERE).show(seconds=0.1)
    shelf.at_s += 100

    shelf.show(seconds=0.1)

    assert shelf.state is SlotState.CORRECT


@given(
    st.lists(
        st.tuples(
            st.floats(-2.0, 2.0),
            st.sampled_from([None, THERE, ABOVE]),
            st.sampled_from([None, ARM]),
        ),
        max_size=80,
    )
)
@settings(deadline=None)
def test_removals_and_returns_alternate_whatever_the_clock_does(timeline):
    shelf = Shelf()
    for step_s, box, hand in timeline:
        shelf.at_s += step_s
        shelf.show(box, hand=hand, seconds=0.3)

    moves = [change.removal for change in shelf.changes if change.removal or change.returned]
    assert all(a is not b for a, b in itertools.pairwise(moves))
    assert all(c.before is not c.after for c in shelf.changes)


def test_the_sums_of_a_slot_add_up():
    sums, shelf = SlotSums(), Shelf()
    for box, hand in [(THERE, None), (THERE, ARM), (None, None)]:
        shelf.show(box, hand=hand, seconds=1.0)
        sums.hold(shelf.monitor.readings()["left"], 1.0)
    for change in shelf.changes:
        sums.add(change)

    assert sums.seconds[SlotState.CORRECT] == 2.0
    assert (sums.seconds[SlotState.EMPTY], sums.hidden_s) == (1.0, 1.0)
    assert (sums.removals, sums.returns, sums.state) == (1, 0, SlotState.EMPTY)


def test_compliance_is_the_share_of_decided_slots_that_are_right():
    now = compliance_now(["correct", "correct", "empty", "wrong", "unknown"])

    assert (now.correct, now.empty, now.wrong, now.unknown) == (2, 1, 1, 1)
    assert now.ratio == 0.5
    assert compliance_now([SlotState.UNKNOWN]).ratio is None


def test_compliance_over_time_weighs_by_seconds():
    one, other = SlotSums(), SlotSums()
    one.hold(SlotReading(SlotState.CORRECT, hidden=False), 30.0)
    other.hold(SlotReading(SlotState.EMPTY, hidden=False), 10.0)

    assert compliance_over_time({"a": one, "b": other}).ratio == pytest.approx(0.75)
