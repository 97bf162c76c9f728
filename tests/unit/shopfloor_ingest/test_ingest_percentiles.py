from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shopfloor_contracts.aggregates import DWELL_EDGES_S
from shopfloor_ingest.domain.percentiles import percentile


def bucketed(values):
    buckets = [0] * (len(DWELL_EDGES_S) + 1)
    for value in values:
        buckets[sum(value >= edge for edge in DWELL_EDGES_S)] += 1
    return buckets


def test_nothing_has_no_percentile():
    assert percentile([0] * 8, DWELL_EDGES_S, 0.5, largest=0) is None


def test_inside_a_bucket_values_are_spread_evenly():
    assert percentile([0, 0, 0, 10, 0, 0, 0, 0], DWELL_EDGES_S, 0.5, largest=60) == 45


def test_the_open_bucket_ends_with_the_largest_value():
    assert percentile([0] * 7 + [4], DWELL_EDGES_S, 1.0, largest=900) == 900


@given(st.lists(st.floats(0, 5000), min_size=1, max_size=200), st.sampled_from([0.5, 0.9, 0.95]))
def test_it_is_off_by_at_most_the_width_of_its_bucket(values, share):
    ordered = sorted(values)
    true = ordered[math.ceil(len(ordered) * share) - 1]

    found = percentile(bucketed(values), DWELL_EDGES_S, share, largest=ordered[-1])

    bounds = [0, *DWELL_EDGES_S, max(ordered[-1], DWELL_EDGES_S[-1])]
    index = sum(true >= edge for edge in DWELL_EDGES_S)
    assert bounds[index] <= found + 1e-9 or found == ordered[-1]
    assert found <= bounds[index + 1] + 1e-9


def test_merged_buckets_give_what_all_values_give():
    chance = random.Random(3)
    one, two = ([chance.expovariate(1 / 90) for _ in range(500)] for _ in range(2))
    merged = [a + b for a, b in zip(bucketed(one), bucketed(two), strict=True)]

    largest = max(*one, *two)

    assert merged == bucketed(one + two)
    assert percentile(merged, DWELL_EDGES_S, 0.9, largest=largest) == pytest.approx(
        sorted(one + two)[899], rel=0.2
    )
