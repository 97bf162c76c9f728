"""A lost camera is told soon, at any period; a camera that comes and goes costs little."""

import itertools

from shopfloor_contracts.events import CameraStatus
from shopfloor_edge.agent.cadence import GAP_S, LOOK_EVERY_S, Cadence
from shopfloor_edge.journal.state import CameraRow


def rows(*statuses):
    return [
        CameraRow(f"c{number}", status, "", 5.0, 0, 0, 0, 0, 0, 0, None, 0.0)
        for number, status in enumerate(statuses)
    ]


LIVE, ABSENT = rows(CameraStatus.LIVE), rows(CameraStatus.ABSENT)


def begun(cameras, period_s=30.0):
    cadence = Cadence(period_s)
    cadence.told(100.0, cameras)
    return cadence


def heartbeats(cadence, cameras_at, *, from_s, to_s):
    """Play the agent's loop, five steps a second; return when it sends."""
    sent = []
    for step in range(int((to_s - from_s) * 5)):
        now_s = from_s + step / 5
        cameras = cameras_at(now_s)
        if cadence.is_due(now_s) or (cadence.wants_look(now_s) and cadence.is_news(cameras)):
            cadence.told(now_s, cameras)
            sent.append(now_s)
    return sent


def test_a_lost_camera_is_told_within_seconds_of_a_heartbeat_of_ten_minutes():
    cadence = begun(LIVE, period_s=600.0)

    sent = heartbeats(cadence, lambda s: ABSENT if s > 150 else LIVE, from_s=100.0, to_s=400.0)

    assert len(sent) == 1
    assert 150 < sent[0] <= 150 + LOOK_EVERY_S + 0.2


def test_a_camera_that_comes_back_is_told_too():
    cadence = begun(ABSENT, period_s=600.0)

    [sent] = heartbeats(cadence, lambda s: LIVE if s > 150 else ABSENT, from_s=100.0, to_s=400.0)

    assert 150 < sent <= 150 + LOOK_EVERY_S + 0.2


def test_a_camera_that_flaps_every_second_is_told_at_most_once_in_the_gap():
    cadence = begun(LIVE, period_s=30.0)

    sent = heartbeats(cadence, lambda s: (LIVE, ABSENT)[int(s) % 2], from_s=100.0, to_s=200.0)

    gaps = [later - earlier for earlier, later in itertools.pairwise(sent)]
    assert sent
    assert min(gaps) >= GAP_S


def test_nothing_new_waits_for_its_turn():
    cadence = begun(LIVE, period_s=30.0)

    sent = heartbeats(cadence, lambda _: LIVE, from_s=100.0, to_s=200.0)

    assert [round(at_s) for at_s in sent] == [130, 160, 190]


def test_a_camera_that_is_being_opened_is_no_lost_camera():
    assert not begun(LIVE).is_news(rows(CameraStatus.CONNECTING))
