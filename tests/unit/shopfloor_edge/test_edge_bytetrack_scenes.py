"""Hand-made scenes: who keeps a number, who gets none, and clocks that misbehave."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shopfloor_edge.tracking.bytetrack import ByteTracker, TrackerSettings

FPS = 10.0


def person(x, y=50.0, *, height=90.0):
    return [x, y, x + height / 3, y + height]


def show(tracker, people, at_s):
    boxes = np.array([box for box, _ in people]).reshape(-1, 4)
    return tracker.update(boxes, np.array([score for _, score in people]), at_s=at_s)


def watch(frames, *, times=None, fps=FPS):
    tracker = ByteTracker(fps=fps)
    times = [number / fps for number in range(len(frames))] if times is None else times
    return [show(tracker, people, at_s) for people, at_s in zip(frames, times, strict=True)]


@pytest.mark.parametrize("fps", [5.0, 10.0, 25.0])
def test_people_who_cross_keep_their_numbers(fps):
    steps = int(8 * fps)
    ways = [(40 + 60 * step / fps, 520 - 60 * step / fps) for step in range(steps)]
    # One walks nearer to the camera: 20 pixels lower and taller.
    frames = [[(person(a), 0.9), (person(b, 70, height=110), 0.8)] for a, b in ways]

    seen = watch(frames, fps=fps)

    assert all(tracks.ids.tolist() == [1, 2] for tracks in seen)
    assert seen[-1].boxes[0, 0] == pytest.approx(ways[-1][0], abs=6)
    assert seen[-1].boxes[1, 0] == pytest.approx(ways[-1][1], abs=6)


@pytest.mark.parametrize("fps", [4.0, 10.0, 30.0])
def test_who_walks_behind_a_pillar_for_a_second_keeps_the_number(fps):
    times = [number / fps for number in range(int(5 * fps))]
    frames = [[(person(30 + 70 * t), 0.9)] if not 2 <= t < 3 else [] for t in times]

    seen = watch(frames, times=times, fps=fps)

    assert seen[-1].ids.tolist() == [1]
    assert {track for tracks in seen for track in tracks.ids.tolist()} == {1}


def test_who_was_away_for_longer_than_is_kept_is_somebody_new():
    keep_s = TrackerSettings().keep_lost_s
    tracker = ByteTracker(fps=FPS)
    for number in range(5):
        show(tracker, [(person(50), 0.9)], number / FPS)

    show(tracker, [(person(50), 0.9)], 0.4 + keep_s + 0.2)
    tracks = show(tracker, [(person(50), 0.9)], 0.4 + keep_s + 0.3)

    assert tracks.ids.tolist() == [2]


def test_flicker_at_ever_new_places_is_nobody():
    frames = [[], *[[(person(150.0 * (n % 4)), 0.95)] if n % 2 else [] for n in range(40)]]

    assert all(len(tracks.ids) == 0 for tracks in watch(frames))


def test_two_sure_boxes_make_a_track():
    seen = watch([[], *[[(person(50), 0.9)]] * 4])

    assert [len(tracks.ids) for tracks in seen] == [0, 0, 1, 1, 1]


def test_a_doubtful_box_does_not_revive_who_was_lost():
    frames = [[(person(50), 0.9)]] * 5 + [[]] * 3 + [[(person(50), 0.4)]] * 3

    assert [len(tracks.ids) for tracks in watch(frames)[-3:]] == [0, 0, 0]


def test_frames_that_come_irregularly_are_bridged_by_time():
    times = np.cumsum([0.1] * 10 + [0.5, 0.1, 0.8, 0.1, 0.1, 0.4, 0.1])
    frames = [[(person(40 + 60 * t), 0.9)] for t in times]

    seen = watch(frames, times=times.tolist())

    assert {track for tracks in seen for track in tracks.ids.tolist()} == {1}
    assert seen[-1].boxes[0, 0] == pytest.approx(frames[-1][0][0][0], abs=6)


@pytest.mark.parametrize("jump_s", [-1e9, -3600.0, -0.1, 0.0])
def test_a_clock_that_is_set_back_changes_nothing(jump_s):
    times = [n / FPS + (jump_s if n >= 10 else 0.0) for n in range(20)]
    frames = [[(person(40 + 6 * n), 0.9)] for n in range(20)]

    seen = watch(frames, times=times)

    assert all(tracks.ids.tolist() == [1] for tracks in seen)


def test_a_clock_that_jumps_forward_ends_the_tracks():
    times = [n / FPS + (1e9 if n >= 10 else 0.0) for n in range(20)]
    frames = [[(person(40), 0.9)] for _ in range(20)]

    seen = watch(frames, times=times)

    assert seen[-1].ids.tolist() == [2]
    assert all(np.isfinite(tracks.boxes).all() for tracks in seen)


def test_frames_without_anybody_are_empty():
    tracks = watch([[], [], []])[-1]

    assert tracks.ids.shape == (0,)
    assert tracks.ids.dtype == np.int64
    assert tracks.boxes.shape == (0, 4)
    assert tracks.scores.shape == (0,)


def test_three_hundred_people_keep_their_numbers():
    grid = [(35.0 * (n % 30), 100.0 * (n // 30)) for n in range(300)]
    frames = [[(person(x + 2 * step, y), 0.9) for x, y in grid] for step in range(12)]

    seen = watch(frames)

    assert all(tracks.ids.tolist() == list(range(1, 301)) for tracks in seen)


def test_the_score_is_that_of_the_matched_box():
    seen = watch([[(person(50), 0.9), (person(300), 0.7)], [(person(300), 0.8), (person(50), 0.3)]])

    assert dict(zip(seen[1].ids.tolist(), seen[1].scores.tolist(), strict=True)) == {1: 0.3, 2: 0.8}


BOX = st.tuples(
    st.floats(-500, 2500), st.floats(-500, 2500), st.floats(0, 700), st.floats(0, 700)
).map(lambda b: [b[0], b[1], b[0] + b[2], b[1] + b[3]])
FRAME = st.lists(st.tuples(BOX, st.floats(0, 1)), max_size=12)


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(FRAME, st.floats(-5, 5)), max_size=15))
def test_numbers_are_unique_and_boxes_finite_whatever_comes_whenever(frames):
    times = np.cumsum([step_s for _, step_s in frames]).tolist()

    seen = watch([people for people, _ in frames], times=times)

    for tracks, (people, _) in zip(seen, frames, strict=True):
        assert len(set(tracks.ids.tolist())) == len(tracks.ids) <= len(people)
        assert np.isfinite(tracks.boxes).all()
        assert (tracks.boxes[:, 2:] >= tracks.boxes[:, :2] - 1e-6).all()
        assert set(tracks.scores.tolist()) <= {score for _, score in people}
