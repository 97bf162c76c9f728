"""A part that has come and stands still is one trigger."""

import numpy as np
import pytest

from shopfloor_contracts.recipes import SettleTrigger
from shopfloor_edge.inspection.arrivals import TriggerQueue
from shopfloor_edge.inspection.triggers.settle import SettleWatch

EMPTY = np.full((240, 320), 60, np.uint8)


def with_part(x):
    picture = EMPTY.copy()
    picture[60:180, x : x + 120] = 220
    return picture


@pytest.fixture
def watched():
    queue = TriggerQueue()
    watch = SettleWatch(SettleTrigger(kind="settle", still_s=0.2), queue)

    def see(*pictures, from_s=0.0):
        for number, picture in enumerate(pictures):
            watch.take(from_s + number / 20, picture)
        count = 0
        while queue.take(0.001) is not None:
            count += 1
        return count

    return see


def test_a_part_that_comes_and_stands_still_is_one_part(watched):
    assert watched(EMPTY, with_part(0), with_part(60), *[with_part(100)] * 20) == 1


def test_a_part_that_still_moves_is_none_yet(watched):
    assert watched(EMPTY, *[with_part(x) for x in range(0, 200, 20)]) == 0


def test_an_empty_belt_is_no_part(watched):
    assert watched(*[EMPTY] * 30) == 0


def test_two_parts_after_each_other_are_two(watched):
    first = watched(EMPTY, with_part(0), *[with_part(100)] * 10)

    second = watched(with_part(180), *[with_part(40)] * 10, from_s=10.0)

    assert (first, second) == (1, 1)
