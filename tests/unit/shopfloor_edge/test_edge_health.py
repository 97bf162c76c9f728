"""Camera health on a drawn scene: states, times, hysteresis. Footage: the component tests."""

import cv2
import numpy as np
import pytest

from shopfloor_edge.cameras.health import HealthMonitor, HealthParameters, ViewState
from shopfloor_edge.cameras.view import View

SIZE = (240, 320)
LEARN_S = 10


def scene(*, seed=0, noise=0):
    """Boxes of many greys, as shelves and floors are; ``noise`` numbers the frame."""
    drawn = np.full(SIZE, 120, np.uint8)
    random = np.random.default_rng(seed)
    for _ in range(80):
        x, y = (int(random.integers(0, limit)) for limit in SIZE[::-1])
        size = tuple(int(one) for one in random.integers(10, 60, 2))
        cv2.rectangle(drawn, (x, y, *size), int(random.integers(30, 230)), -1)
    grain = np.random.default_rng(noise).normal(0, 2, SIZE)
    return (drawn + grain).clip(0, 255).astype(np.uint8)


def dark(noise=0):
    return np.random.default_rng(noise).normal(17, 1, SIZE).clip(0, 255).astype(np.uint8)


@pytest.fixture
def monitor():
    """One that knows the scene."""
    known = HealthMonitor()
    for second in range(LEARN_S):
        known.look(scene(noise=second), float(second))
    assert known.report.state is ViewState.GOOD
    return known


def look(monitor, pictures, *, start_s=LEARN_S):
    return [monitor.look(one, start_s + n).state for n, one in enumerate(pictures)]


def test_a_condition_is_believed_when_it_held_and_dated_when_it_began(monitor):
    seen = look(monitor, (dark(n) for n in range(8)))

    assert seen == [ViewState.GOOD] * 5 + [ViewState.BLACK] * 3
    assert monitor.report.since_s == LEARN_S
    assert not monitor.report.usable
    assert monitor.report.reason == "the picture is black"


def test_a_condition_that_comes_and_goes_is_not_believed(monitor):
    pictures = [dark(n) if n % 5 else scene(noise=n) for n in range(40)]

    assert set(look(monitor, pictures)) == {ViewState.GOOD}


def test_the_end_of_a_fault_must_hold_too(monitor):
    look(monitor, (dark(n) for n in range(8)))

    seen = look(monitor, [scene(noise=n) for n in range(5)], start_s=LEARN_S + 8)

    assert seen == [ViewState.BLACK] * 3 + [ViewState.GOOD] * 2
    assert monitor.report.usable


def test_another_view_is_a_moved_camera_until_it_is_learnt_anew(monitor):
    look(monitor, (scene(seed=9, noise=n) for n in range(30)))
    before = monitor.report.state
    monitor.relearn()

    seen = look(monitor, (scene(seed=9, noise=n) for n in range(30)), start_s=100)

    assert before is ViewState.MOVED
    assert seen[-1] is ViewState.GOOD


def test_a_camera_that_comes_back_turned_has_moved(monitor):
    an_hour_later = 3600.0

    look(monitor, (scene(seed=9, noise=n) for n in range(30)), start_s=an_hour_later)

    assert monitor.report.state is ViewState.MOVED


def test_a_slow_change_of_light_and_goods_is_learnt(monitor):
    quick = HealthMonitor(HealthParameters(adapt_s=20.0))
    old, new = scene(seed=0).astype(float), scene(seed=3).astype(float)
    shares = np.linspace(0, 1, 400)
    pictures = [
        ((1 - share) * old + share * new + np.random.default_rng(n).normal(0, 2, SIZE))
        .clip(0, 255)
        .astype(np.uint8)
        for n, share in enumerate(shares)
    ]

    seen = look(quick, pictures, start_s=0)

    assert set(seen) == {ViewState.LEARNING, ViewState.GOOD}


def test_frames_between_two_looks_cost_nothing_and_change_nothing(monitor):
    before = monitor.report

    for n in range(100):
        monitor.look(dark(), LEARN_S - 1 + n / 200)

    assert monitor.report is before


def test_a_clock_that_goes_back_does_not_stop_the_looking(monitor):
    seen = look(monitor, (dark(n) for n in range(10)), start_s=0.0)

    assert seen[-1] is ViewState.BLACK


def test_a_wall_without_texture_cannot_be_told_from_a_moved_camera():
    plain = HealthMonitor(HealthParameters(plain_energy=0.0))
    walls = [
        np.random.default_rng(n).normal(150, 2, SIZE).clip(0, 255).astype(np.uint8)
        for n in range(60)
    ]

    seen = look(plain, walls, start_s=0)

    assert set(seen) == {ViewState.LEARNING, ViewState.GOOD}


@pytest.mark.parametrize("bright", [0, 100, 144, 145, 146, 147, 200])
def test_a_picture_is_darker_than_a_level_when_its_99th_percentile_is(bright):
    grey = np.random.default_rng(bright).uniform(0, 31, (90, 160)).astype(np.float32)
    grey.reshape(-1)[:bright] = 40.0
    view = View(grey, grey, 0.0, 0.0)

    for level in (20.0, 30.9, 31.0, 32.0, 40.0, 41.0):
        assert view.darker_than(level) == (np.percentile(grey, 99) < level)
