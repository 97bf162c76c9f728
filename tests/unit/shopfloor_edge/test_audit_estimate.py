"""Measured accuracy: scores, draws with known probabilities, and intervals that hold."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shopfloor_edge.auditing.estimate import Judged, estimate
from shopfloor_edge.auditing.sampling import Candidate, draw_set
from shopfloor_edge.auditing.schedule import allocate, draw_day
from shopfloor_edge.auditing.scores import Score, score_counts, score_state
from shopfloor_edge.auditing.size import clips_needed

DAY_S = 86_400.0
COUNTS = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), min_size=1, max_size=4)
CANDIDATES = st.lists(
    st.tuples(st.integers(0, 23), st.floats(0, 9), st.floats(1, 300)), min_size=1, max_size=60
)


def hour_of(at_s: float) -> int:
    return int(at_s % DAY_S // 3600)


def candidates_of(drawn: list[tuple[int, float, float]]) -> list[Candidate]:
    return [Candidate(str(n), hour, people, w) for n, (hour, people, w) in enumerate(drawn)]


@given(COUNTS)
def test_a_score_adds_up_to_what_was_counted_and_to_what_was_seen(pairs):
    counted, seen = [one for one, _ in pairs], [two for _, two in pairs]

    score = score_counts(counted, seen)

    assert (score.counted, score.seen) == (sum(counted), sum(seen))
    assert min(score.agreed, score.missed, score.false) >= 0


def test_errors_in_and_out_do_not_cancel_out():
    assert score_counts([3, 0], [2, 1]) == Score(agreed=2, missed=1, false=1)


@pytest.mark.parametrize(
    ("counted", "seen", "expected"),
    [
        ("correct", "correct", Score(agreed=1)),
        ("correct", "empty", Score(missed=1)),
        ("unknown", "correct", Score(missed=1)),
        ("empty", "correct", Score(false=1)),
        ("wrong", "empty", Score(false=1)),
    ],
)
def test_a_slots_state_is_one_item(counted, seen, expected):
    assert score_state(counted, seen) == expected


def test_a_days_positions_lie_in_the_day_and_say_how_likely_they_were():
    busy = dict.fromkeys(range(9, 20), 3.0)
    wanted = allocate(busy, dict.fromkeys(range(24), 3600.0), 48)

    plan = draw_day(0.0, DAY_S, 12.0, hour_of=hour_of, wanted=wanted, random=Random(7))

    assert sum(wanted.values()) == pytest.approx(48)
    assert 36 <= len(plan) <= 60
    assert all(0 <= p.began_s <= DAY_S - 12 and p.began_s % 12 == 0 for p in plan)
    assert all(p.probability == pytest.approx(wanted[p.hour] / 300) for p in plan)
    assert wanted[12] > 2 * wanted[3] > 0


def test_how_often_a_position_is_drawn_is_the_probability_that_is_recorded():
    wanted, hits, days = {0: 1.3}, np.zeros(10), 4000
    for seed in range(days):
        plan = draw_day(0.0, 3600.0, 360.0, hour_of=hour_of, wanted=wanted, random=Random(seed))
        hits[[int(p.began_s // 360) for p in plan]] += 1

    assert np.abs(hits / days - 0.13).max() < 0.025


def test_an_hour_shorter_than_what_is_wanted_is_kept_whole():
    plan = draw_day(0.0, 60.0, 12.0, hour_of=hour_of, wanted={0: 99.0}, random=Random(1))

    assert [(p.began_s, p.probability) for p in plan] == [(12.0 * n, 1.0) for n in range(5)]


@given(CANDIDATES, st.integers(1, 40), st.integers(0, 99))
def test_a_set_holds_each_clip_once_and_leaves_no_stratum_out(drawn, size, seed):
    candidates = candidates_of(drawn)

    found = draw_set(candidates, size, Random(seed))

    assert len(found) == len({one.clip for one in found}) == min(size, len(candidates))
    assert all(0 < one.probability <= 1 for one in found)
    # The weights of a stratum stand for as many clips as it has: nothing is left out of the sum.
    assert sum(1 / one.probability for one in found) == pytest.approx(len(candidates))


def test_more_is_drawn_where_more_goes_on():
    quiet = [Candidate(f"q{n}", 12, 0.0, 1.0) for n in range(50)]
    busy = [Candidate(f"b{n}", 12, 5.0, 1.0) for n in range(50)]

    found = draw_set([*quiet, *busy], 20, Random(3))

    assert sum(one.clip.startswith("b") for one in found) >= 14


def test_the_weighted_total_of_a_set_is_that_of_all_clips_on_average():
    rng = np.random.default_rng(5)
    people = rng.poisson(1.0, 60)
    candidates = [Candidate(str(n), n % 24, float(p), 1.0) for n, p in enumerate(people)]

    totals = [
        sum(one.weight * people[int(one.clip)] for one in draw_set(candidates, 14, Random(seed)))
        for seed in range(1500)
    ]

    assert np.mean(totals) == pytest.approx(people.sum(), rel=0.02)


@settings(max_examples=60)
@given(
    st.lists(
        st.tuples(
            st.sampled_from("abcd"),
            st.floats(1, 50),
            st.builds(Score, st.integers(0, 9), st.integers(0, 3), st.integers(0, 3)),
        ),
        min_size=1,
        max_size=30,
    )
)
def test_the_interval_holds_the_estimate_and_stays_in_range(rows):
    found = estimate([Judged(*row) for row in rows])

    assert 0.0 <= found.low <= found.high <= 1.0
    assert found.accuracy is None or found.low <= found.accuracy <= found.high
    assert found.total.items == sum(score.items for _, _, score in rows)


def test_clips_with_nothing_to_count_say_nothing():
    found = estimate([Judged("a", 1.0, Score())] * 5)

    assert (found.accuracy, found.low, found.high, found.counted_ratio) == (None, 0.0, 1.0, None)


def test_a_perfect_handful_is_no_proof():
    found = estimate([Judged("a", 1.0, Score(agreed=1))] * 8)

    assert found.accuracy == 1.0
    assert found.low < 0.72


def test_a_set_of_the_same_weights_has_the_plain_share():
    rows = [Judged("a", 2.0, Score(9, 1, 0)), Judged("a", 2.0, Score(6, 2, 2))]

    found = estimate(rows)

    assert found.accuracy == pytest.approx(15 / 20)
    assert found.counted_ratio == pytest.approx(17 / 18)


def test_a_quiet_stratum_that_was_sampled_thinly_weighs_as_it_does_in_the_day():
    rows = [Judged("busy", 1.0, Score(agreed=10))] * 2 + [Judged("quiet", 30.0, Score(0, 1, 0))] * 2

    assert estimate(rows).accuracy == pytest.approx(20 / 80)


@pytest.mark.parametrize(
    ("size", "recall", "false_rate", "clumped"),
    [(10, 0.95, 0.02, 0.0), (20, 0.98, 0.005, 0.0), (20, 0.9, 0.05, 0.15), (40, 0.7, 0.1, 0.2)],
)
def test_the_interval_covers_the_truth_as_often_as_it_says(size, recall, false_rate, clumped):
    rng = np.random.default_rng(11)
    inside = reps = 0
    for seed in range(150):
        scores, candidates = simulated_days(rng, recall, false_rate, clumped)
        total = sum(scores, Score())
        drawn = draw_set(candidates, size, Random(seed))
        found = estimate([Judged(d.stratum, d.weight, scores[int(d.clip)]) for d in drawn])
        reps += found.accuracy is not None
        inside += (
            found.accuracy is not None and found.low <= total.agreed / total.items <= found.high
        )

    # 95 % less three standard errors of 150 repetitions: 0.896.
    assert inside / reps >= 0.90
    assert reps >= 140


def simulated_days(rng, recall, false_rate, clumped, clips=300):
    """Clips of a shop that is open 9–19 h; what is missed goes together within a clip."""
    hours = rng.integers(0, 24, clips)
    there = rng.poisson(np.where((hours > 8) & (hours < 20), 1.2, 0.05))
    found = rng.binomial(there, np.clip(recall + clumped * rng.standard_normal(clips), 0, 1))
    counted = found + rng.poisson(false_rate, clips)
    scores = [score_counts([int(c)], [int(t)]) for c, t in zip(counted, there, strict=True)]
    candidates = [
        Candidate(str(n), int(h), 0.7 * float(c), 1.0)
        for n, (h, c) in enumerate(zip(hours, counted, strict=True))
    ]
    return scores, candidates


def test_a_narrower_interval_takes_more_clips():
    wide, narrow = (clips_needed(w, accuracy=0.95, items_per_clip=1.5) for w in (0.1, 0.03))

    assert 20 <= wide <= 80
    assert narrow > 4 * wide
