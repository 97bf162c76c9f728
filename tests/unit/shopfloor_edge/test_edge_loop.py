import logging
import threading
import time
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fakes.cameras import ScriptedSource, grey_planes
from shopfloor_contracts.site import CameraSpec, LineSpec, SiteFile, ZoneSpec
from shopfloor_contracts.windows import Window
from shopfloor_edge.cameras.mailbox import Bell
from shopfloor_edge.cameras.ports import Frame
from shopfloor_edge.cameras.supervisor import CameraSupervisor
from shopfloor_edge.errors import SourceEndedError
from shopfloor_edge.inference.zoo import find_manifest
from shopfloor_edge.vision.clock import Clock, OffsetWatch, ReportedSpans
from shopfloor_edge.vision.loop import FAILURES_MAX, InferenceLoop, Station
from shopfloor_edge.vision.metrics import Fate, VisionMetrics
from shopfloor_edge.vision.recorder import Recorder
from shopfloor_edge.vision.watch import CameraWatch

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC).timestamp()
MANIFEST = find_manifest("person-nano")


class Nobody:
    """A detector that finds nobody and counts how often it was asked."""

    name = "nobody"

    def __init__(self):
        self.asked = 0

    def warmup(self):
        pass

    def infer(self, images):
        self.asked += 1
        return np.zeros((len(images), 300, 6), np.float32)


class Broken(Nobody):
    """A detector whose library raises something of its own."""

    def infer(self, images):
        self.asked += 1
        raise RuntimeError("runtime gave up")


class Time:
    """A monotonic clock that is turned by hand, and a wall clock that can be set."""

    def __init__(self, wall_s=NOON):
        self.now_s, self._offset_s = 1000.0, wall_s - 1000.0

    def set(self, by_s):
        self._offset_s += by_s

    @property
    def clock(self):
        return Clock(lambda: self.now_s, lambda: self.now_s + self._offset_s)


class Opener:
    """Opens a source that plays ``script``."""

    def __init__(self, script=(), *, live=True):
        self._script, self._live = script, live

    def __call__(self):
        return ScriptedSource(self._script, live=self._live)

    def stamp(self):
        return 0


class Journal(Recorder):
    """The real recorder, which also remembers what it was given."""

    def __init__(self, folder):
        super().__init__(folder, max_rows=100_000, max_bytes=10**9, clock=time.monotonic)
        self.drafts, self.rows = [], []

    def record(self, drafts):
        self.drafts += drafts
        super().record(drafts)

    def describe(self, rows):
        self.rows = rows
        super().describe(rows)


def spec(name="c", **changes):
    line = LineSpec(name="l", a=(0.5, 0.0), b=(0.5, 1.0))
    # Every frame here is the same plain grey, which no lens shows.
    plain = {"picture_check": False}
    fields = {"name": name, "uri": "rtsp://x", "fps": 5, "lines": [line]} | plain | changes
    return CameraSpec(**fields)


def build(folder, specs, turned, *, backend=None, scripts=None):
    bell = Bell()
    stations = [
        Station(
            CameraSupervisor(
                one.name,
                Opener((scripts or {}).get(one.name, ()), live=scripts is None),
                is_file=scripts is not None,
                fps=one.fps,
                bell=bell,
            ),
            CameraWatch(
                one,
                MANIFEST,
                model_digest="0" * 64,
                window_s=60.0,
                epoch_s=turned.clock.offset_s(),
            ),
        )
        for one in specs
    ]
    return InferenceLoop(
        SiteFile(site="s", device="d", cameras=list(specs)),
        stations,
        backend=backend or Nobody(),
        recorder=Journal(folder),
        bell=bell,
        metrics=VisionMetrics([one.name for one in specs]),
        clock=turned.clock,
    )


def send(loop, turned, number=0):
    for station in loop._stations:
        station.supervisor.mailbox.replace(Frame(number, turned.now_s, (64, 48), grey_planes))


def play(loop, turned, seconds, *, fps=5.0):
    """Let live frames come for so long, as ``run`` would take them."""
    for number in range(round(seconds * fps)):
        turned.now_s += 1.0 / fps
        loop._follow_clock()
        send(loop, turned, number)
        while loop._serve(lambda _camera, _crossing: None):
            pass
        loop._settle()


def finish(loop):
    for station in loop._stations:
        loop._record(station, station.watch.close())
    return windows(loop)


def aggregates(loop):
    return [draft.data for draft in loop._recorder.drafts if isinstance(draft.data, Window)]


def windows(loop):
    """Return ``(start after noon, coverage)`` of every traffic event."""
    return [
        (data.window_start.timestamp() - NOON, data.coverage_ratio) for data in aggregates(loop)
    ]


def begun(folder, turned):
    loop = build(folder, [spec()], turned)
    loop._stations[0].watch.begin(turned.clock.wall())
    return loop


def test_windows_follow_the_wall_clock(tmp_path):
    turned = Time()
    loop = begun(tmp_path, turned)

    play(loop, turned, 150)

    found = finish(loop)
    assert [start for start, _ in found] == [0, 60, 120]
    assert [share for _, share in found] == pytest.approx([1.0, 1.0, 0.5], abs=0.02)


def test_a_clock_that_jumps_forward_ends_the_window_early_and_opens_none_between(tmp_path, caplog):
    turned = Time()
    loop = begun(tmp_path, turned)
    play(loop, turned, 30)

    turned.set(by_s=40 * 365 * 86_400)
    with caplog.at_level(logging.WARNING):
        play(loop, turned, 90)

    found = finish(loop)
    assert found[0] == (0, pytest.approx(0.5, abs=0.02))
    assert len(found) in (3, 4)
    assert found[1][0] == pytest.approx(40 * 365 * 86_400, abs=60)
    assert [record.message for record in caplog.records] == [
        "the clock was set, open windows end early"
    ]


@pytest.mark.parametrize("back_s", [2.0, 70.0, 3600.0])
def test_a_clock_that_is_set_back_reports_no_window_twice(tmp_path, back_s):
    turned = Time()
    loop = begun(tmp_path, turned)
    play(loop, turned, 90)

    turned.set(by_s=-back_s)
    play(loop, turned, 240)

    starts = [start for start, _ in finish(loop)]
    assert len(starts) == len(set(starts))
    assert all(start % 60 == 0 for start in starts)


def test_a_small_step_back_is_made_up_for_in_the_next_window(tmp_path):
    turned = Time()
    loop = begun(tmp_path, turned)
    play(loop, turned, 61)

    turned.set(by_s=-2.0)
    play(loop, turned, 115)

    assert [start for start, _ in finish(loop)] == [0, 60, 120]


def test_what_a_slewing_clock_does_is_no_step():
    turned = Time()
    watch = OffsetWatch(turned.clock)

    turned.set(by_s=0.1)

    assert watch.step_s() is None


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(st.floats(-200, 200), st.integers(1, 90)), min_size=1, max_size=6))
def test_however_the_clock_is_set_no_window_is_negative_or_double(steps):
    turned = Time()
    watch = CameraWatch(
        spec(motion_gate=False),
        MANIFEST,
        model_digest="0" * 64,
        window_s=60.0,
        epoch_s=turned.clock.offset_s(),
    )
    backend, found = Nobody(), []
    offset = OffsetWatch(turned.clock)

    for by_s, seconds in steps:
        turned.set(by_s)
        if offset.step_s() is not None:
            found += watch.set_clock(offset.offset_s, turned.clock.wall())
        for _ in range(seconds):
            turned.now_s += 1.0
            found += watch.look(Frame(0, turned.now_s, (64, 48), grey_planes), backend).aggregates
            found += watch.settle(turned.clock.wall())
    found += watch.close()

    starts = [data.window_start for data in found]
    assert len(starts) == len(set(starts))
    assert sum(data.frames for data in found) == backend.asked
    assert all(0.0 <= data.coverage_ratio <= 1.0 for data in found)
    observed_s = sum(data.coverage_ratio * data.window_s for data in found)
    assert observed_s <= sum(seconds for _, seconds in steps) + 1e-2


def test_time_stands_still_in_what_was_reported():
    spans = ReportedSpans()
    spans.add(120.0, 240.0)
    spans.add(0.0, 60.0)

    assert [spans.after(at_s) for at_s in (-1.0, 0.0, 59.0, 60.0, 130.0, 240.0)] == [
        -1.0,
        60.0,
        60.0,
        60.0,
        240.0,
        240.0,
    ]


def test_a_still_scene_is_covered_though_it_is_hardly_inferred(tmp_path):
    turned = Time()
    loop = begun(tmp_path, turned)

    play(loop, turned, 180)

    totals = loop._stations[0].watch.totals
    assert totals.frames + totals.gated == 180 * 5
    assert totals.frames < 220
    coverage = [share for _, share in finish(loop)[1:3]]
    assert coverage == pytest.approx([1.0, 1.0], abs=0.001)
    assert aggregates(loop)[1].frames <= 65


def test_zones_keep_their_count_while_nothing_moves():
    zone = ZoneSpec(name="z", polygon=[(0, 0), (1, 0), (1, 1), (0, 1)])
    watch = CameraWatch(
        spec(zones=[zone]), MANIFEST, model_digest="0" * 64, window_s=60.0, epoch_s=0.0
    )
    found = []
    for number in range(61 * 5):
        frame = Frame(number, number / 5, (64, 48), grey_planes)
        found += watch.look(frame, OneInTheMiddle()).aggregates

    (occupancy,) = [data for data in found if hasattr(data, "zones")]
    assert occupancy.zones[0].people_s == pytest.approx(60.0, abs=1.0)
    assert occupancy.frames < 200


class OneInTheMiddle(Nobody):
    def infer(self, images):
        found = np.zeros((len(images), 300, 6), np.float32)
        height, width = images.shape[1:3]
        found[:, 0] = [0.1 * width, 0.3 * height, 0.15 * width, 0.6 * height, 0.9, 0]
        return found


def test_without_the_gate_every_frame_is_inferred(tmp_path):
    turned, backend = Time(), Nobody()
    loop = build(tmp_path, [spec(motion_gate=False)], turned, backend=backend)

    play(loop, turned, 10)

    assert backend.asked == 50


def test_a_frame_that_cannot_be_inferred_does_not_stop_the_others(tmp_path, caplog):
    turned, backend = Time(), Broken()
    loop = build(tmp_path, [spec()], turned, backend=backend)

    play(loop, turned, 5)

    assert backend.asked == 25
    assert [record.message for record in caplog.records] == ["frame not looked at"]
    failed = loop._metrics.registry.get_sample_value(
        "shopfloor_vision_frames_total", {"camera": "c", "fate": "failed"}
    )
    assert failed == 25


def test_a_detector_that_always_fails_ends_the_process(tmp_path):
    turned = Time()
    loop = build(tmp_path, [spec()], turned, backend=Broken())

    with pytest.raises(RuntimeError, match="gave up"):
        play(loop, turned, 60)

    assert loop._failures == FAILURES_MAX + 1


def test_a_frame_that_cannot_be_mapped_is_a_failed_one(tmp_path):
    def torn():
        raise MemoryError("no room")

    turned = Time()
    loop = build(tmp_path, [spec()], turned)
    loop._stations[0].supervisor.mailbox.replace(Frame(0, turned.now_s, (64, 48), torn))

    assert loop._serve(lambda _camera, _crossing: None)
    assert loop._failures == 1


def test_overload_is_said_and_shown(tmp_path, caplog):
    turned = Time()
    loop = build(tmp_path, [spec("a", motion_gate=False), spec("b", motion_gate=False)], turned)
    caplog.set_level(logging.INFO)

    for number in range(100):
        turned.now_s += 0.1
        send(loop, turned, number)
        loop._serve(lambda _camera, _crossing: None)
        loop._settle()

    assert "overloaded, every camera is slowed evenly" in [r.message for r in caplog.records]
    assert [row.load_ratio for row in loop._recorder.rows] == pytest.approx([0.5] * 2, abs=0.05)
    assert [row.frames for row in loop._recorder.rows] == pytest.approx([50, 50], abs=3)


def test_files_are_read_to_their_end_and_the_loop_ends(tmp_path):
    turned = Time()
    scripts = {"c": [n / 5 for n in range(20)] + [SourceEndedError("over")]}
    loop = build(tmp_path, [spec(motion_gate=False)], turned, scripts=scripts)

    loop.run(threading.Event(), lambda _camera, _crossing: None)

    assert loop._stations[0].watch.totals.frames == 20
    inferred = loop._metrics.registry.get_sample_value(
        "shopfloor_vision_frames_total", {"camera": "c", "fate": Fate.INFERRED}
    )
    assert inferred == 20
