"""Clips for audits: drawn before, masked everywhere, with the counts of that very clip."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import cv2
import numpy as np
import pytest

from shopfloor_contracts.site import AuditsSpec, CameraSpec
from shopfloor_edge.analytics.lines import Crossing, Direction
from shopfloor_edge.journal.audit_clips import AuditBook, Basis, KeptClip, Planned
from shopfloor_edge.vision.audit_clips import (
    DIMMED,
    LEAD_S,
    AuditClip,
    AuditSampler,
    AuditStore,
    Moment,
    mask,
)
from shopfloor_edge.vision.audit_plan import AuditPlanner
from shopfloor_edge.vision.clips import Still, jpeg_of

NOON_S = datetime(2026, 11, 2, 12, tzinfo=UTC).timestamp()
CLIP_S = 10.0
BASIS = Basis("c" * 64, "onnxruntime", "int8", "3f9a0c12be47")
SPEC = CameraSpec.model_validate(
    {
        "name": "door",
        "uri": "x.avi",
        "lines": [{"name": "in", "a": [0.5, 0.1], "b": [0.5, 0.9]}],
        "zones": [{"name": "hall", "polygon": [[0, 0], [1, 0], [1, 1]]}],
    }
)
NOBODY = np.zeros((0, 4))


def planes(value: int = 120):
    return (
        np.full((96, 128), value, np.uint8),
        np.full((48, 64), 128, np.uint8),
        np.full((48, 64), 128, np.uint8),
    )


class Scene:
    """Frames at a steady rate into one sampler whose only moment begins at noon."""

    def __init__(self) -> None:
        self.clips: list[AuditClip] = []
        self._planned: list[Planned] = [Planned(NOON_S, 12, 0.25)]
        self.sampler = AuditSampler(SPEC, BASIS, CLIP_S, due=self._due, put=self.clips.append)

    def _due(self, at_s: float) -> Planned | None:
        return self._planned.pop() if self._planned and at_s >= NOON_S else None

    def frame(self, at_s, *, people=0, crossed=(), gated=False):
        """Show one frame, ``at_s`` seconds after noon."""
        at_s += NOON_S
        self.sampler.offer(planes(), None if gated else NOBODY, at_s)
        if not gated:
            crossings = [Crossing("in", n, way, at_s) for n, way in enumerate(crossed)]
            self.sampler.saw(Moment(at_s, people, crossings, {"hall": people}, {"left": "empty"}))

    def run(self, until_s: float = 12.2, step_s: float = 0.1, **events):
        for number in range(-10, round(until_s / step_s)):
            self.frame(number * step_s, **events)


def test_a_clip_holds_what_was_counted_in_its_bright_part():
    scene = Scene()
    for number in range(-10, 122):
        at_s = number / 10
        # One comes in during the lead, one in the clip, one goes out in it, one after it.
        ways = {5: [Direction.IN], 30: [Direction.IN], 80: [Direction.OUT], 115: [Direction.IN]}
        scene.frame(at_s, people=2 if at_s < 6.5 else 1, crossed=ways.get(number, []))

    (clip,) = scene.clips
    assert clip.kept.counted == {"line/in": [1, 1], "zone/hall": [2], "slot/left": "empty"}
    assert (clip.kept.began_at, clip.kept.ended_at) == (NOON_S + LEAD_S, NOON_S + LEAD_S + CLIP_S)
    assert 1.4 < clip.kept.people < 1.7
    assert clip.kept.probability == 0.25
    assert json.loads(clip.kept.drawn)["lines"][0]["name"] == "in"


def test_what_is_not_counted_is_shown_dimmed():
    scene = Scene()

    scene.run()

    light = [
        float(cv2.imdecode(np.frombuffer(still.jpeg, np.uint8), cv2.IMREAD_GRAYSCALE).mean())
        for still in scene.clips[0].stills
    ]
    at_s = [still.at_s - NOON_S for still in scene.clips[0].stills]
    dim = {round(at, 1) for at, value in zip(at_s, light, strict=True) if value < 120 * 0.7}
    assert dim
    assert all(at < LEAD_S or at >= LEAD_S + CLIP_S - 0.05 for at in dim)
    assert min(light) == pytest.approx(120 * DIMMED, rel=0.2)


def test_a_moment_in_which_the_camera_was_away_is_no_clip():
    scene = Scene()
    for at_s in [*np.arange(0, 4, 0.1), *np.arange(7, 13, 0.1)]:
        scene.frame(float(at_s))

    assert scene.clips == []
    assert scene.sampler.lost == 1


def test_a_quiet_scene_that_the_gate_passes_over_is_a_clip_too():
    scene = Scene()
    scene.frame(-0.5, people=1)
    for at_s in np.arange(0, 12.6, 0.4):
        scene.frame(float(at_s), gated=True)

    (clip,) = scene.clips
    assert clip.kept.counted["zone/hall"] == [1]
    assert 15 <= len(clip.stills) <= 26


def test_a_clock_that_was_set_ends_the_clip():
    scene = Scene()
    scene.frame(1.0)
    scene.sampler.abandon()

    scene.run()

    assert scene.clips == []


def test_nothing_finer_than_the_mosaic_is_left_where_nobody_was_detected():
    rng = np.random.default_rng(1)
    picture = rng.integers(0, 255, (480, 640, 3)).astype(np.uint8)

    mask(picture, NOBODY)

    block = 640 // 80
    tiles = picture.reshape(480 // block, block, 80, block, 3)
    assert (tiles == tiles[:, :1, :, :1]).all()


def test_a_person_who_is_large_in_the_picture_becomes_coarser_still():
    rng = np.random.default_rng(1)
    picture = rng.integers(0, 255, (480, 640, 3)).astype(np.uint8)

    mask(picture, np.array([[200.0, 40, 440, 460], [10, 10, 40, 80]]))

    across = picture[250, 210:430]
    assert 4 <= 1 + int((np.abs(np.diff(across.astype(int), axis=0)).sum(axis=1) > 0).sum()) <= 8


def planner(tmp_path, book=None, seed=5, **spec):
    book = book or AuditBook(tmp_path)
    audits = AuditsSpec(enabled=True, **({"clips_per_day": 48} | spec))
    return AuditPlanner(book, audits, "door", ZoneInfo("Europe/Oslo"), seed=lambda: seed), book


def test_a_day_is_drawn_once_and_recorded_before_its_first_moment(tmp_path):
    first, book = planner(tmp_path)
    first.due(NOON_S)

    again, _ = planner(tmp_path, book, seed=99)
    again.due(NOON_S + 3600)

    plan = book.plan("door", "2026-11-02")
    book.close()
    assert 30 <= len(plan) <= 66
    assert all(one.began_at >= NOON_S for one in plan)
    assert {one.hour for one in plan} <= set(range(13, 24))
    assert again._ahead == [one for one in plan if one.began_at >= NOON_S + 3600]


def test_a_moment_is_due_once_and_not_when_it_is_long_past(tmp_path):
    plan, book = planner(tmp_path)
    plan.due(NOON_S)
    one, two = book.plan("door", "2026-11-02")[:2]

    found = [plan.due(one.began_at + late) for late in (0.05, 0.15)]
    late = plan.due(two.began_at + 5)

    book.close()
    assert found == [one, None]
    assert late is None


def test_the_next_day_draws_more_where_it_was_busy(tmp_path):
    plan, book = planner(tmp_path, clips_per_day=200)
    for minute in range(62):
        for step in range(60):
            plan.observe(NOON_S + 60 * minute + step, 4)
    book.observe("door", "2026-11-02", 3, observed_s=3600, people_s=36)

    plan.due(NOON_S + 86_400)

    hours = [one.hour for one in book.plan("door", "2026-11-03")]
    book.close()
    assert hours.count(13) > 4 * hours.count(20) > 0


def a_clip(name="20261102T120001-door", began_at=NOON_S) -> AuditClip:
    jpeg = jpeg_of(np.zeros((48, 64, 3), np.uint8))
    kept = KeptClip(
        name, "door", began_at, began_at + 10, 12, 0.25, 1.5, BASIS, {"line/in": [1, 0]}, "{}"
    )
    return AuditClip((Still(0.0, jpeg), Still(0.1, jpeg)), jpeg, kept)


def test_clips_lie_apart_and_go_with_age_together_with_their_rows(tmp_path):
    now = [NOON_S]
    book = AuditBook(tmp_path)
    store = AuditStore(tmp_path / "audits", AuditsSpec(keep_days=1), book, clock=lambda: now[0])
    path = store.add(a_clip())
    kept = {file.suffix for file in path.parent.iterdir()}
    now[0] = path.stat().st_mtime + 2 * 86_400

    gone = store.trim()

    rows = book._connection.execute("SELECT COUNT(*) FROM audit_clips").fetchone()
    book.close()
    assert (kept, gone, list(path.parent.iterdir()), rows) == ({".webp", ".jpg"}, 1, [], (0,))
