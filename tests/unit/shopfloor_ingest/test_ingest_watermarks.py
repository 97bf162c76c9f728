from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from shopfloor_ingest.domain.watermarks import Arrival, Watermark, extend


@st.composite
def histories(draw):
    """A device's outbox of up to 12 events: what it says of each, first and after its drops.

    Returns the sequences that never arrive, and every (seq, prevseq) that does.
    """
    length = draw(st.integers(1, 12))
    dropped = draw(st.sets(st.integers(1, length - 1))) if length > 1 else set()
    missing = draw(st.sets(st.integers(1, length)))
    said = set()
    for seq in range(1, length + 1):
        if seq in missing or seq in dropped:
            continue
        before = max((s for s in range(1, seq) if s not in dropped), default=0)
        first = draw(st.integers(before, seq - 1))
        said |= {(seq, first), (seq, before)}
    return missing | dropped, said


def delivered(draw, said):
    """Every message at least once, in any order, fresh the first time, in any batches."""
    repeats = draw(st.lists(st.sampled_from(sorted(said)), max_size=10)) if said else []
    order = draw(st.permutations([*sorted(said), *repeats]))
    seen, arrivals = set(), []
    for seq, prevseq in order:
        arrivals.append(Arrival(seq, prevseq, fresh=seq not in seen))
        seen.add(seq)
    batches, rest = [], arrivals
    while rest:
        size = draw(st.integers(1, len(rest)))
        batches.append(rest[:size])
        rest = rest[size:]
    return batches


def apply_all(batches):
    mark = Watermark()
    for batch in batches:
        mark = extend(mark, batch)
    return mark


def complete_up_to(said):
    """The highest seq that a chain of (prevseq at or below) leads to, by brute force."""
    reached = 0
    while True:
        further = [seq for seq, prevseq in said if prevseq <= reached < seq]
        if not further:
            return reached
        reached = min(further)


@given(histories(), st.data())
def test_any_order_duplication_and_batching_ends_at_the_same_mark(history, data):
    _, said = history

    mark = apply_all(delivered(data.draw, said))

    assert mark.up_to == complete_up_to(said)
    arrived = {seq for seq, _ in said}
    assert mark.dropped == mark.up_to - sum(seq <= mark.up_to for seq in arrived)
    assert set(mark.waiting) == {seq for seq in arrived if seq > mark.up_to}


@given(histories(), st.data())
def test_a_mark_never_goes_back_and_never_passes_a_missing_undropped_event(history, data):
    lost, said = history
    smallest = {seq: min(p for s, p in said if s == seq) for seq, _ in said}
    arrived: set[int] = set()
    mark = Watermark()

    for batch in delivered(data.draw, said):
        before, mark = mark, extend(mark, batch)
        arrived |= {arrival.seq for arrival in batch}

        assert mark.up_to >= before.up_to
        assert mark.up_to == 0 or mark.up_to in arrived
        for seq in set(range(1, mark.up_to + 1)) - arrived:
            given_up = any(smallest[s] < seq < s for s in arrived)
            assert given_up, f"{seq} was passed over (lost: {sorted(lost)})"


@given(histories(), st.data())
def test_replicas_that_take_turns_end_where_one_would(history, data):
    _, said = history
    batches = delivered(data.draw, said)
    mine = data.draw(st.lists(st.booleans(), min_size=len(batches), max_size=len(batches)))
    first = [batch for batch, is_mine in zip(batches, mine, strict=True) if is_mine]
    second = [batch for batch, is_mine in zip(batches, mine, strict=True) if not is_mine]

    mark = apply_all([*second, *first])

    assert mark.up_to == complete_up_to(said)


def test_an_unset_prevseq_is_the_one_before():
    assert extend(Watermark(), [Arrival(1, None), Arrival(2, None)]).up_to == 2
    assert extend(Watermark(), [Arrival(2, None)]).up_to == 0


def test_what_came_ahead_is_chained_when_the_missing_one_comes():
    ahead = extend(Watermark(), [Arrival(3, 2), Arrival(2, 1)])

    mark = extend(ahead, [Arrival(1, 0)])

    assert ahead.up_to == 0
    assert mark == Watermark(up_to=3)


def test_a_resent_event_whose_forerunner_was_dropped_extends_the_mark():
    before = extend(Watermark(), [Arrival(1, 0), Arrival(3, 2)])

    after = extend(before, [Arrival(3, 1, fresh=False)])

    assert before.up_to == 1
    assert after == Watermark(up_to=3, dropped=1)


def test_a_drop_is_taken_back_when_the_event_was_only_late():
    passed = extend(Watermark(), [Arrival(1, 0), Arrival(3, 1)])

    mark = extend(passed, [Arrival(2, 1)])

    assert (passed.dropped, mark.dropped) == (1, 0)
