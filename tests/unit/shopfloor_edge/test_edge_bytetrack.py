import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from shopfloor_edge.tracking.bytetrack import ByteTracker


def walker(step, *, x=50.0, y=50.0, speed=4.0):
    left = x + speed * step
    return [left, y, left + 20, y + 50]


def follow(frames, *, fps=10.0):
    tracker = ByteTracker(fps=fps)
    return [
        tracker.update(
            np.array([box for box, _ in frame]).reshape(-1, 4),
            np.array([score for _, score in frame]),
            at_s=number / fps,
        )
        for number, frame in enumerate(frames)
    ]


def test_a_walker_keeps_one_number():
    seen = follow([[(walker(step), 0.9)] for step in range(30)])

    assert {track for tracks in seen for track in tracks.ids.tolist()} == {1}
    assert all(len(tracks.ids) == 1 for tracks in seen)


def test_the_box_follows_the_walker():
    seen = follow([[(walker(step), 0.9)] for step in range(30)])

    np.testing.assert_allclose(seen[-1].boxes[0], walker(29), atol=2.0)


def test_two_who_meet_keep_their_numbers():
    frames = [
        [(walker(step, x=0), 0.9), (walker(step, x=200, y=70, speed=-4), 0.9)] for step in range(50)
    ]

    seen = follow(frames)

    first, last = seen[0], seen[-1]
    assert first.ids.tolist() == [1, 2]
    order = dict(zip(last.ids.tolist(), last.boxes[:, 0].tolist(), strict=True))
    assert order[1] > 150
    assert order[2] < 50


def test_a_doubtful_box_continues_a_track_and_never_begins_one():
    hidden = [[(walker(step), 0.9 if step < 5 else 0.2)] for step in range(10)]

    assert [len(tracks.ids) for tracks in follow(hidden)] == [1] * 10
    assert [len(tracks.ids) for tracks in follow([[(walker(s), 0.2)] for s in range(10)])] == [
        0
    ] * 10


def test_who_is_hidden_for_half_a_second_keeps_the_number():
    frames = [[(walker(step), 0.9)] if not 10 <= step < 15 else [] for step in range(25)]

    seen = follow(frames)

    assert seen[-1].ids.tolist() == [1]
    assert len(seen[12].ids) == 0


def test_who_is_away_for_long_is_somebody_new():
    frames = [[(walker(0), 0.9)] if not 10 <= step < 40 else [] for step in range(45)]

    assert follow(frames)[-1].ids.tolist() == [2]


def test_one_flicker_is_nobody():
    frames = [[], [(walker(0), 0.9)], [], []]

    assert [len(tracks.ids) for tracks in follow(frames)] == [0, 0, 0, 0]


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.lists(
            st.tuples(st.floats(0, 700), st.floats(0, 500), st.floats(2, 90), st.floats(0, 1)),
            max_size=8,
        ),
        max_size=25,
    )
)
def test_any_detections_give_finite_boxes_and_unique_numbers(frames):
    seen = follow([[([x, y, x + s, y + 2 * s], score) for x, y, s, score in f] for f in frames])

    for tracks, frame in zip(seen, frames, strict=True):
        assert len(set(tracks.ids.tolist())) == len(tracks.ids) <= len(frame)
        assert np.isfinite(tracks.boxes).all()
