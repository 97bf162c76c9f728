import pytest
from hypothesis import given
from hypothesis import strategies as st

from shopfloor_edge.vision.scheduler import LOAD_WINDOW_S, FairScheduler, LoadMeter

RATES = st.lists(st.floats(0.5, 30.0), min_size=1, max_size=16)


def serve(scheduler, waiting):
    camera = scheduler.pick(waiting)
    scheduler.served(camera)
    return camera


def simulate(rates, *, frame_s, duration_s):
    """Cameras that send at their rates into a mailbox for one, and one server."""
    scheduler = FairScheduler(rates)
    arrival = [0.0] * len(rates)
    waiting, served, shed = set(), [0] * len(rates), 0
    now_s = 0.0
    while now_s < duration_s:
        for camera, rate in enumerate(rates):
            while arrival[camera] <= now_s:
                arrival[camera] += 1.0 / rate
                shed += camera in waiting
                waiting.add(camera)
        if waiting:
            camera = serve(scheduler, sorted(waiting))
            waiting.discard(camera)
            served[camera] += 1
            now_s += frame_s
        else:
            now_s = min(arrival)
    return served, shed


@given(RATES, st.integers(1, 200))
def test_cameras_that_all_wait_get_their_share(rates, turns):
    scheduler = FairScheduler(rates)
    served = [0] * len(rates)

    for _ in range(turns):
        served[serve(scheduler, range(len(rates)))] += 1

    share = turns / sum(rates)
    for count, rate in zip(served, rates, strict=True):
        assert abs(count - share * rate) <= 1.0 + rate / min(rates)


@given(RATES, st.integers(1, 200))
def test_no_two_cameras_are_further_apart_than_a_frame_of_each(rates, turns):
    scheduler = FairScheduler(rates)
    served = [0] * len(rates)

    for _ in range(turns):
        served[serve(scheduler, range(len(rates)))] += 1

    for count, rate in zip(served, rates, strict=True):
        for other, other_rate in zip(served, rates, strict=True):
            apart_s = abs(count / rate - other / other_rate)
            assert apart_s <= 1 / rate + 1 / other_rate + 1e-9


def test_with_time_enough_every_frame_is_looked_at():
    rates = [10.0, 5.0, 1.0]

    served, shed = simulate(rates, frame_s=0.02, duration_s=20.0)

    assert shed == 0
    assert served == pytest.approx([200, 100, 20], abs=1)


@pytest.mark.parametrize("overload", [1.5, 3.0])
def test_on_overload_every_camera_is_slowed_evenly(overload):
    rates = [15.0, 10.0, 5.0, 5.0, 2.0]
    frame_s = overload / sum(rates)

    served, _ = simulate(rates, frame_s=frame_s, duration_s=60.0)

    ratios = [count / (60.0 * rate) for count, rate in zip(served, rates, strict=True)]
    assert ratios == pytest.approx([1 / overload] * len(rates), rel=0.05)


def test_a_frame_that_cost_nothing_does_not_use_up_a_turn():
    scheduler = FairScheduler([5.0, 5.0])

    picked = [scheduler.pick([0, 1]) for _ in range(3)]

    assert picked == [0, 0, 0]


def test_who_was_away_does_not_push_out_the_others():
    scheduler = FairScheduler([10.0, 10.0])
    for _ in range(100):
        scheduler.served(0)

    turns = [serve(scheduler, [0, 1]) for _ in range(10)]

    assert turns.count(1) <= 6


def test_nobody_waits_and_nobody_is_picked():
    assert FairScheduler([1.0]).pick([]) is None


def test_overload_is_told_once_and_recovery_once():
    meter, told = LoadMeter(), []
    taken = shed = 0
    for step in range(200):
        now_s = step * 0.5
        taken += 10
        shed += 5 if 40 <= step < 100 else 0
        if meter.update(now_s, taken=taken, shed=shed):
            told.append((meter.load.overloaded, now_s))

    assert [overloaded for overloaded, _ in told] == [True, False]
    assert 20 < told[0][1] <= 20 + LOAD_WINDOW_S
    assert told[1][1] <= 50 + 2 * LOAD_WINDOW_S


def test_the_ratio_is_that_of_the_last_seconds():
    meter = LoadMeter()
    meter.update(0.0, taken=0, shed=0)
    meter.update(100.0, taken=1000, shed=0)

    meter.update(105.0, taken=1050, shed=50)

    assert meter.load.ratio == pytest.approx(0.5)


def test_measuring_the_load_keeps_no_more_than_its_window():
    meter = LoadMeter()

    for step in range(10_000):
        meter.update(step * 0.5, taken=step, shed=0)

    assert len(meter._marks) <= 2 * LOAD_WINDOW_S + 2


def test_no_frames_at_all_is_no_overload():
    meter = LoadMeter()

    changed = [meter.update(step, taken=0, shed=0) for step in range(20)]

    assert not any(changed)
    assert meter.load.ratio == 1.0
