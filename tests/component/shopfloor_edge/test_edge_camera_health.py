"""Camera health on real footage: silent when nothing is wrong, and every fault is found."""

import itertools
import time

import cv2
import numpy as np
import pytest

from fakes.footage import black, blurred, clips, covered, grey_frames, lit, moved
from shopfloor_edge.cameras.choose import open_source
from shopfloor_edge.cameras.health import HealthMonitor, ViewState
from shopfloor_edge.errors import SourceEndedError

CLIPS = clips()
NORMAL_S, FAULT_S = 30, 30
FAULTS = {
    "black": (ViewState.BLACK, black),
    "covered": (ViewState.COVERED, covered),
    "defocused": (ViewState.DEFOCUSED, blurred),
    "defocused much": (ViewState.DEFOCUSED, lambda grey: blurred(grey, sigma_ratio=0.012)),
    "shifted right": (ViewState.MOVED, lambda grey: moved(grey, right=0.05)),
    "shifted down": (ViewState.MOVED, lambda grey: moved(grey, down=0.1)),
    "turned": (ViewState.MOVED, lambda grey: moved(grey, degrees=8)),
    "zoomed in": (ViewState.MOVED, lambda grey: moved(grey, zoom=1.15)),
    "turned away": (ViewState.MOVED, lambda grey: moved(grey, right=0.4, degrees=5)),
}

pytestmark = [
    pytest.mark.mirror,
    pytest.mark.skipif(not CLIPS, reason="wants footage from SHOPFLOOR_MIRROR"),
]


@pytest.fixture(scope="module")
def footage():
    """Every clip at one frame a second, short ones at their own rate; read once."""
    read = {}
    for path in CLIPS:
        frames = grey_frames(path)
        read[path.name] = frames if len(frames) >= 20 else grey_frames(path, fps=100)
    return read


def played(frames, *, seconds):
    """Loop the clip, one frame a second."""
    return itertools.islice(itertools.cycle(frames), seconds)


def states(monitor, frames, *, start_s=0.0):
    return [monitor.look(frame, start_s + n).state for n, frame in enumerate(frames)]


@pytest.mark.parametrize("name", [path.name for path in CLIPS])
@pytest.mark.parametrize("gain", [1.0, 0.6, 1.4])
def test_real_footage_that_runs_normally_is_no_fault(footage, name, gain):
    frames = [lit(frame, gain=gain) for frame in footage[name]]

    seen = states(HealthMonitor(), played(frames, seconds=max(100, len(frames))))

    assert set(seen) == {ViewState.LEARNING, ViewState.GOOD}


@pytest.mark.parametrize("name", [path.name for path in CLIPS])
@pytest.mark.parametrize("change", [{"gain": 0.5}, {"gamma": 2.0}, {"gamma": 0.5}])
def test_another_light_is_no_fault(footage, name, change):
    frames = footage[name]
    monitor = HealthMonitor()
    states(monitor, played(frames, seconds=NORMAL_S))

    seen = states(
        monitor,
        (lit(frame, **change) for frame in played(frames, seconds=FAULT_S)),
        start_s=NORMAL_S,
    )

    assert set(seen) == {ViewState.GOOD}


@pytest.mark.parametrize("name", [path.name for path in CLIPS])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found_named_and_ends(footage, name, fault):
    state, happen = FAULTS[fault]
    frames = footage[name]
    monitor = HealthMonitor()
    states(monitor, played(frames, seconds=NORMAL_S))

    during = states(
        monitor,
        (happen(frame) for frame in played(frames, seconds=FAULT_S)),
        start_s=NORMAL_S,
    )
    report = monitor.report
    after = states(monitor, played(frames, seconds=10), start_s=NORMAL_S + FAULT_S)

    assert set(during) == {ViewState.GOOD, state}, fault
    assert report.state is state
    assert not report.usable
    assert report.reason
    assert NORMAL_S <= report.since_s <= NORMAL_S + 9
    assert after[-1] is ViewState.GOOD


@pytest.mark.parametrize("name", [path.name for path in CLIPS])
def test_a_frozen_picture_is_found(footage, name):
    frames = footage[name]
    monitor = HealthMonitor()
    states(monitor, played(frames, seconds=NORMAL_S))

    during = states(monitor, [frames[-1]] * FAULT_S, start_s=NORMAL_S)
    after = states(monitor, played(frames, seconds=10), start_s=NORMAL_S + FAULT_S)

    assert during[-1] is ViewState.FROZEN
    assert during[10] is ViewState.GOOD
    assert after[-1] is ViewState.GOOD


def test_a_lens_covered_from_the_start_is_found(footage):
    frames = footage[CLIPS[0].name]
    monitor = HealthMonitor()

    states(
        monitor,
        (covered(frame, seed=n) for n, frame in enumerate(played(frames, seconds=20))),
    )

    assert monitor.report.state is ViewState.COVERED


def test_an_arm_before_the_lens_for_three_seconds_is_no_fault(footage):
    frames = footage["vtest.avi"]
    monitor = HealthMonitor()
    states(monitor, played(frames, seconds=NORMAL_S))

    during = states(monitor, [covered(frame) for frame in frames[:3]], start_s=NORMAL_S)

    assert set(during) == {ViewState.GOOD}


def test_a_new_picture_shape_is_learnt_anew(footage):
    monitor = HealthMonitor()
    states(monitor, played(footage["vtest.avi"], seconds=NORMAL_S))

    seen = states(
        monitor, (frame[:, :300] for frame in footage["vtest.avi"][:20]), start_s=NORMAL_S
    )

    assert seen[:9] == [ViewState.LEARNING] * 9
    assert set(seen[9:]) == {ViewState.GOOD}


def test_a_look_is_cheap_and_most_frames_are_not_looked_at():
    rows = np.random.default_rng(0).integers(0, 255, (1080, 1920), np.uint8)
    monitor = HealthMonitor()
    monitor.look(rows, 0.0)

    begun_s = time.process_time()
    for n in range(1, 21):
        monitor.look(rows, float(n))
    looked_s = time.process_time() - begun_s
    for n in range(1000):
        monitor.look(rows, 20.0 + n / 2000)
    skipped_s = time.process_time() - begun_s - looked_s

    # Generous: the machine may be busy; 1.5 ms a look was measured.
    assert looked_s / 20 < 0.02
    assert skipped_s / 1000 < 0.0005


@pytest.mark.gstreamer
@pytest.mark.parametrize(("grain", "state"), [(0.0, ViewState.FROZEN), (0.5, ViewState.GOOD)])
def test_a_stuck_sensor_is_told_from_a_still_scene_behind_a_real_encoder(
    footage, tmp_path, grain, state
):
    """What stands still is encoded again and again; a scene without motion has its grain."""
    encoding = pytest.importorskip("shopfloor_demo.encoding")
    moving = [frame for frame in footage["vtest.avi"][:20] for _ in range(encoding.FPS)]
    still = [grained(moving[-1], grain, seed=n) for n in range(30 * encoding.FPS)]
    clip, encoded = tmp_path / "a.avi", tmp_path / "a.h264"
    write_grey(clip, [*moving, *still], fps=encoding.FPS)
    encoding.encode(clip, encoded, progress=lambda frames: None)
    monitor = HealthMonitor()

    for number, luma in enumerate(decoded(encoded)):
        monitor.look(luma, number / encoding.FPS)

    assert monitor.report.state is state


def grained(grey, sigma, *, seed):
    noise = np.random.default_rng(seed).normal(0, sigma, grey.shape)
    return (grey + noise).round().clip(0, 255).astype(np.uint8)


def write_grey(path, pictures, *, fps):
    size = pictures[0].shape[::-1]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), fps, size)
    for grey in pictures:
        writer.write(cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR))
    writer.release()


def decoded(path):
    """Yield copies of the luma, as vision would see it."""
    source = open_source(str(path))
    try:
        while (frame := source.read(10.0)) is not None:
            with frame.planes() as (luma, _, _):
                yield luma.copy()
    except SourceEndedError:
        return
    finally:
        source.close()
