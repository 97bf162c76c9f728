from __future__ import annotations

import numpy as np
import pytest

from shopfloor_demo.replay import Look
from shopfloor_demo.shelf import Change, delays_s, kept_truth, score, watch

TRUTH = kept_truth()


def change(slot="left", *, removal=True, at_s=10.0):
    return Change(slot, removal, at_s)


def test_the_kept_truth_is_four_removals_and_four_returns_that_alternate_in_each_slot():
    assert sum(change.removal for change in TRUTH.changes) == 4
    assert len(TRUTH.changes) == 8
    for slot in TRUTH.slots:
        moves = [change.removal for change in TRUTH.changes if change.slot == slot.name]
        assert moves == [number % 2 == 0 for number in range(len(moves))]


def test_the_kept_truth_gives_the_stable_counts_that_were_seen():
    standing, counts = len(TRUTH.slots), [len(TRUTH.slots)]
    for change in sorted(TRUTH.changes, key=lambda change: change.at_s):
        standing += -1 if change.removal else 1
        counts.append(standing)

    assert counts == [3, 2, 3, 2, 1, 2, 3, 2, 3]


def test_a_change_that_is_told_late_is_found_with_its_delay():
    assert delays_s([change()], [change(at_s=11.5)]) == [pytest.approx(1.5)]


@pytest.mark.parametrize(
    "found", [change(at_s=16.0), change(at_s=9.0), change("right"), change(removal=False)]
)
def test_a_change_of_another_time_slot_or_kind_is_not_found(found):
    assert delays_s([change()], [found]) == [None]


def test_one_told_change_is_not_two_true_ones():
    result = score([change(), change(at_s=11.0)], [change(at_s=11.2)])

    assert (result["changes_found"], result["false_changes"]) == (1, 0)


def test_what_did_not_happen_is_false():
    result = score([change()], [change(at_s=10.5), change("right", at_s=12.0)])

    assert result == {
        "changes_truth": 1,
        "changes_found": 1,
        "false_changes": 1,
        "delay_s_max": 0.5,
        "delay_s_mean": 0.5,
    }


def test_a_person_in_front_is_told_apart_from_a_product():
    [slot] = [slot for slot in TRUTH.slots if slot.name == "left"]
    box = np.array([slot.box]) * [640, 360, 640, 360]

    def looks(seconds, labels):
        for number in range(round(seconds * 10)):
            boxes = np.repeat(box, len(labels), axis=0)
            yield Look(start + number / 10, (640, 360), boxes, np.full(len(labels), 0.9), labels)

    start, clip = 0.0, []
    for seconds, labels in [(2, ["bottle"]), (5, ["person"]), (2, []), (3, ["bottle", "person"])]:
        clip += looks(seconds, labels)
        start += seconds

    [found] = watch(clip, (slot,))

    assert (found.slot, found.removal) == ("left", True)
    assert 7.0 < found.at_s < 8.0
