import numpy as np
import pytest

from shopfloor_edge.vision.gate import GateSettings, MotionGate, Seen, shrink

SIZE = (640, 360)
LINE = ((0.5, 0.0), (0.5, 1.0))
NOBODY = ()


ROWS, COLUMNS = np.mgrid[0:360, 0:640]
TEXTURE = (120.0 + 30 * np.sin(COLUMNS / 17.0) + 30 * np.cos(ROWS / 23.0)).astype(np.int16)
NOISE = np.random.default_rng(0).normal(0, 2.0, (8, 360, 640)).astype(np.int16)


def scene(*people, seed=0):
    """A textured, noisy picture with dark figures: ``(x, y)`` of their feet, 14 x 40 pixels."""
    picture = TEXTURE + NOISE[seed % len(NOISE)]
    for x, y in people:
        picture[max(0, y - 40) : y, max(0, x - 7) : x + 7] -= 45
    return picture.clip(0, 255).astype(np.uint8)


def seen(*people, untracked=0):
    """Tracks 1, 2, … with their feet at these points."""
    return Seen(
        ids=np.arange(1, len(people) + 1),
        feet=np.array(people, float).reshape(-1, 2),
        heights=np.full(len(people), 40.0),
        untracked=untracked,
    )


def watch(gate, moments, *, fps=5.0, start_s=0.0):
    """Show ``(people in the picture, people found)``; return at which moments was looked."""
    looked = []
    for number, (people, found) in enumerate(moments):
        at_s = start_s + number / fps
        if not gate.skips(scene(*people, seed=number), at_s):
            looked.append(number)
            gate.saw(seen(*found), size=SIZE, at_s=at_s)
    return looked


def asleep(*people, settings=None):
    """Return a gate that has seen the scene stand still, and when."""
    gate = MotionGate([LINE], settings)
    watch(gate, [(people, people)] * 40)
    return gate, 8.0


def test_a_still_empty_scene_is_looked_at_every_two_seconds():
    gate, now_s = asleep()

    looked = watch(gate, [(NOBODY, NOBODY)] * 50, start_s=now_s)

    assert 4 <= len(looked) <= 6


def test_after_a_change_an_empty_scene_is_looked_at_within_a_second_again():
    gate, now_s = asleep()
    moments = [(NOBODY, NOBODY)] * 30 + [(((100, 200),), NOBODY)] + [(NOBODY, NOBODY)] * 20

    looked = watch(gate, moments, start_s=now_s)

    back = next(moment for moment in looked if moment > 30)
    assert looked[looked.index(back) + 1] - back <= 5


def test_who_comes_in_is_looked_at_in_the_first_frame():
    gate, now_s = asleep()
    watch(gate, [(NOBODY, NOBODY)], start_s=now_s)

    assert not gate.skips(scene((100, 200), seed=99), now_s + 0.2)


def test_a_slow_change_adds_up_until_it_is_looked_at():
    gate, now_s = asleep(settings=GateSettings(refresh_s=1000.0))
    looked = [
        step
        for step in range(100)
        if not gate.skips(
            np.clip(scene(seed=step).astype(int) + step // 4, 0, 255).astype(np.uint8),
            now_s + step / 5,
        )
    ]

    assert len(looked) >= 2


def test_nothing_is_skipped_while_somebody_walks():
    gate = MotionGate([LINE])
    way = [((100 + 4 * step, 200),) for step in range(60)]

    looked = watch(gate, [(people, people) for people in way])

    assert looked == list(range(60))


def test_half_of_the_frames_are_looked_at_for_a_while_after_somebody_was_lost():
    gate, now_s = asleep((100, 200))
    moments = [(((100, 200),), NOBODY)] * 15

    looked = watch(gate, moments, start_s=now_s)

    tail = [moment for moment in looked if moment < looked[0] + 10]
    assert len(tail) >= 5
    assert max(np.diff(tail)) <= 2


def test_who_comes_out_from_behind_something_is_looked_at_in_the_first_frame():
    gate, now_s = asleep((100, 200))
    watch(gate, [(NOBODY, NOBODY)] * 3, start_s=now_s)

    assert not gate.skips(scene((130, 200), seed=99), now_s + 0.6)


def test_who_stands_still_far_from_a_line_is_looked_at_twice_a_second():
    gate, now_s = asleep((100, 200))

    looked = watch(gate, [(((100, 200),), ((100, 200),))] * 50, start_s=now_s)

    assert 16 <= len(looked) <= 27


def test_who_stands_near_a_line_is_always_looked_at():
    gate, now_s = asleep((300, 200))

    looked = watch(gate, [(((300, 200),), ((300, 200),))] * 20, start_s=now_s)

    assert looked == list(range(20))


def test_a_sure_box_without_a_track_keeps_the_gate_open():
    gate, now_s = asleep()
    gate.skips(scene((50, 50)), now_s)
    gate.saw(seen(untracked=1), size=SIZE, at_s=now_s)

    assert not gate.skips(scene((50, 50)), now_s + 0.2)


def test_what_moves_where_nobody_was_found_is_tolerated():
    gate, now_s = asleep()
    flag = [(((200 + 5 * (step % 2), 100),), NOBODY) for step in range(100)]

    looked = watch(gate, flag, start_s=now_s)

    assert len([step for step in looked if step >= 50]) <= 15


def test_a_person_beside_what_is_tolerated_is_still_seen():
    gate, now_s = asleep()
    watch(gate, [(((200 + 5 * (step % 2), 100),), NOBODY) for step in range(100)], start_s=now_s)

    gate.skips(scene((200, 100)), now_s + 20.0)

    assert not gate.skips(scene((200, 100), (420, 250)), now_s + 20.2)


def test_after_a_failure_the_next_frame_is_looked_at():
    gate, now_s = asleep()
    gate.skips(scene(), now_s)

    gate.forget()

    assert not gate.skips(scene(), now_s + 0.2)


@pytest.mark.parametrize("size", [(640, 360), (768, 576), (1920, 1080), (40, 30), (351, 289)])
def test_any_size_becomes_a_small_plane(size):
    small = shrink(np.full((size[1], size[0]), 77, np.uint8))

    assert small.min() == small.max() == 77
    assert small.shape[0] <= 90
    assert small.shape[1] <= 160


def test_a_stream_that_changes_its_size_is_looked_at():
    gate, now_s = asleep()

    assert not gate.skips(np.zeros((576, 704), np.uint8), now_s)
