"""A picture of no use is not nobody: its time is not covered."""

import contextlib

import numpy as np
import pytest

from shopfloor_contracts.bundles import Head, Manifest, Preprocess
from shopfloor_contracts.events import OccupancyData
from shopfloor_contracts.site import CameraSpec, ZoneSpec
from shopfloor_edge.cameras.ports import Frame
from shopfloor_edge.vision.metrics import Fate
from shopfloor_edge.vision.watch import CameraWatch

SIZE = (128, 96)
FPS = 5
MANIFEST = Manifest(
    name="m",
    version="1",
    task="detect",
    licence="Apache-2.0",
    source="test",
    classes=["person", "bottle"],
    head=Head.END2END,
    preprocess=Preprocess(
        width_px=64, height_px=64, layout="nhwc-uint8", colour="bgr", letterbox="top-left"
    ),
    builds=[{"target": "onnx-fp32", "file": "m.onnx", "sha256": "0" * 64, "size_bytes": 1}],
)
SCENE = np.kron(
    np.random.default_rng(1).integers(40, 220, (12, 16)), np.ones((8, 8), np.int64)
).astype(np.uint8)
RANDOM = np.random.default_rng(2)


class OneOfEach:
    """Sees one person and one bottle, always in the same place."""

    name = "fake"
    asked = 0

    def warmup(self):
        pass

    def infer(self, images):
        self.asked += 1
        found = np.zeros((len(images), 300, 6), np.float32)
        found[:, 0] = [10, 10, 30, 36, 0.9, 0]
        found[:, 1] = [40, 10, 50, 30, 0.9, 1]
        return found


def frame(number, luma):
    """A picture with a sensor's noise."""
    noisy = np.clip(luma.astype(int) + RANDOM.integers(-3, 4, luma.shape), 0, 255).astype(np.uint8)

    @contextlib.contextmanager
    def planes():
        yield noisy, *[np.full((48, 64), 128, np.uint8)] * 2

    return Frame(number, number / FPS, SIZE, planes)


def watch_of(**changes):
    zone = ZoneSpec(name="z", polygon=[(0, 0), (1, 0), (1, 1), (0, 1)])
    spec = CameraSpec(name="c", uri="rtsp://x", fps=FPS, zones=[zone], **changes)
    return CameraWatch(spec, MANIFEST, model_digest="0" * 64, window_s=60.0, epoch_s=0.0)


def show(watch, backend, *, good_s, black_s):
    """Show the scene, then a black picture; return the looks and the first window's events."""
    pictures = [SCENE] * (good_s * FPS) + [np.full_like(SCENE, 16)] * (black_s * FPS)
    looks = [watch.look(frame(n, picture), backend) for n, picture in enumerate(pictures)]
    return looks, [data for look in looks for data in look.aggregates]


def test_while_the_picture_is_black_nothing_is_counted_and_coverage_falls():
    watch, backend = watch_of(motion_gate=False), OneOfEach()

    looks, events = show(watch, backend, good_s=30, black_s=40)

    (occupancy,) = [data for data in events if isinstance(data, OccupancyData)]
    # Five seconds pass until it is believed.
    assert occupancy.coverage_ratio == pytest.approx(35 / 60, abs=0.04)
    assert occupancy.zones[0].observed_s == pytest.approx(35, abs=2)
    assert occupancy.zones[0].people_s == pytest.approx(35, abs=2)
    assert looks[-1].fate is Fate.USELESS
    assert watch.health.reason == "the picture is black"
    assert backend.asked < 37 * FPS


def test_an_operator_may_turn_the_check_off():
    watch, backend = watch_of(motion_gate=False, picture_check=False), OneOfEach()

    _, events = show(watch, backend, good_s=5, black_s=60)

    assert events[0].coverage_ratio == pytest.approx(1.0, abs=0.01)
    assert watch.health.usable


def test_only_people_are_tracked_and_counted():
    watch = watch_of(motion_gate=False)

    looks, events = show(watch, OneOfEach(), good_s=62, black_s=0)

    assert watch.totals.people == 1
    assert events[0].zones[0].people_max == 1
    assert {look.fate for look in looks} == {Fate.INFERRED}
