import os

import cv2
import numpy as np
import pytest

from shopfloor_contracts.site import EvidenceSpec
from shopfloor_edge.vision.clips import Clip, ClipRing, ClipStore, ClipWriter, Still, encode

NOW_S = 1_700_000_000.0
NAME = "20260101T000000-door-queue"
SPEC = EvidenceSpec(enabled=True, before_s=2, after_s=1)


def checkers(height=240, width=320):
    """A pattern of single pixels, which no masked picture can still show."""
    y = ((np.indices((height, width)).sum(axis=0) % 2) * 255).astype(np.uint8)
    return y, np.full((120, 160), 128, np.uint8), np.full((120, 160), 128, np.uint8)


def picture(still):
    return cv2.imdecode(np.frombuffer(still.jpeg, np.uint8), cv2.IMREAD_GRAYSCALE).astype(int)


def contrast(part):
    return np.abs(np.diff(part, axis=1)).mean()


def record(boxes, *, seconds=4.0, alert_at_s=2.0):
    clips = []
    ring = ClipRing(SPEC, clips.append)
    for at_s in np.arange(0, seconds, 0.25):
        if at_s == alert_at_s:
            ring.keep(NAME, at_s)
        ring.offer(checkers(), boxes, at_s)
    return clips


def test_a_clip_spans_the_time_before_and_after_the_alert():
    clips = record(np.array([[10.0, 10, 60, 100]]))

    assert len(clips) == 1
    assert clips[0].stills[0].at_s == pytest.approx(0.0, abs=0.26)
    assert clips[0].stills[-1].at_s == pytest.approx(3.0)


def test_a_second_alert_falls_into_the_same_clip():
    clips = []
    ring = ClipRing(SPEC, clips.append)
    for number in range(20):
        ring.keep(f"{NAME}-{number}", number * 0.1, alert=f"alert-{number}")
        ring.offer(checkers(), np.zeros((0, 4)), number * 0.1)

    assert [clip.name for clip in clips] == [f"{NAME}-0"]
    assert [clip.alerts for clip in clips] == [tuple(f"alert-{number}" for number in range(11))]


def test_people_are_masked_before_a_frame_is_kept():
    (clip,) = record(np.array([[100.0, 60, 180, 200]]))

    shown = picture(clip.stills[0])

    assert contrast(shown[70:190, 110:170]) < 5
    assert contrast(shown[70:190, 230:]) > 100


@pytest.mark.parametrize(
    "boxes",
    [
        np.zeros((0, 4)),
        np.array([[np.nan, 0, 10, 10]]),
        np.array([[900.0, 900, 950, 990]]),
        np.array([[10.0, 10, 60, 100], [np.inf, 0, 10, 10]]),
    ],
    ids=["no boxes", "no number", "outside", "one is no number"],
)
def test_a_frame_whose_people_are_not_known_is_coarse_as_a_whole(boxes):
    (clip,) = record(boxes)

    assert all(contrast(picture(still)) < 5 for still in clip.stills)


def test_a_large_frame_is_shrunk_and_its_boxes_with_it():
    clips = []
    ring = ClipRing(SPEC, clips.append)
    y = np.zeros((960, 1280), np.uint8)
    y[200:600, 400:800] = np.random.default_rng(1).integers(0, 255, (400, 400))
    ring.keep(NAME, 0.0)
    for at_s in (0.0, 1.0):
        ring.offer(
            (y, *[np.full((480, 640), 128, np.uint8)] * 2), np.array([[400.0, 200, 800, 600]]), at_s
        )

    shown = picture(clips[0].stills[0])

    assert shown.shape == (480, 640)
    assert len(np.unique(shown[110:290:7, 210:390:7])) < 60
    assert contrast(shown[120:280, 220:380]) < 5


def test_frames_whose_time_goes_back_begin_anew():
    clips = []
    ring = ClipRing(SPEC, clips.append)
    ring.offer(checkers(), np.zeros((0, 4)), 100.0)
    ring.keep(NAME, 5.0)
    ring.offer(checkers(), np.zeros((0, 4)), 5.0)
    ring.finish()

    assert [still.at_s for still in clips[0].stills] == [5.0]


def still(at_s, height=240):
    _, jpeg = cv2.imencode(".jpg", np.full((height, 320, 3), int(at_s * 40) % 255, np.uint8))
    return Still(at_s, jpeg.tobytes())


def test_a_clip_is_an_animation_at_the_speed_of_the_camera(tmp_path):
    path = tmp_path / "clip.webp"
    path.write_bytes(encode((still(0.0), still(0.5), still(1.5, height=120))))

    done, animation = cv2.imreadanimation(str(path))

    assert done
    assert [frame.shape[:2] for frame in animation.frames] == [(240, 320)] * 3
    assert list(animation.durations)[:2] == [500, 1000]


def test_clips_that_are_too_old_go(tmp_path):
    store = ClipStore(tmp_path, SPEC, clock=lambda: NOW_S)
    old = tmp_path / "20250101T000000-door-queue.webp"
    old.write_bytes(b"old")
    os.utime(old, (NOW_S - 8 * 86_400,) * 2)
    foreign = tmp_path / "holiday.webp"
    foreign.write_bytes(b"not ours")
    os.utime(foreign, (NOW_S - 8 * 86_400,) * 2)

    assert store.trim() == 1
    assert [path.name for path in tmp_path.iterdir()] == ["holiday.webp"]


def test_the_quota_takes_the_oldest_first(tmp_path):
    store = ClipStore(tmp_path, SPEC.model_copy(update={"quota_bytes": 250}), clock=lambda: NOW_S)
    for number in range(3):
        path = tmp_path / f"2026010{number + 1}T000000-door-queue.webp"
        path.write_bytes(bytes(100))
        os.utime(path, (NOW_S + number,) * 2)

    store.trim()

    assert [path.name[:8] for path in sorted(tmp_path.iterdir())] == ["20260102", "20260103"]


def test_a_disk_that_refuses_costs_a_clip_and_nothing_else(tmp_path):
    file_in_the_way = tmp_path / "clips"
    file_in_the_way.write_text("no folder")
    writer = ClipWriter(ClipStore(file_in_the_way, SPEC, clock=lambda: NOW_S))
    writer.start()

    writer.put(Clip(NAME, (still(0.0),)))
    writer.close()

    assert writer.dropped == 1


def test_a_clip_is_written_whole(tmp_path):
    folder = tmp_path / "clips"
    writer = ClipWriter(ClipStore(folder, SPEC, clock=lambda: NOW_S))
    writer.start()

    writer.put(Clip(NAME, (still(0.0), still(0.1))))
    writer.close()

    assert [path.name for path in folder.iterdir()] == [f"{NAME}.webp"]
    assert writer.dropped == 0
