import pytest

from shopfloor_contracts.events import CameraStatus
from shopfloor_edge.cameras.health import _REASONS, ViewState
from shopfloor_edge.console import texts
from shopfloor_edge.console.camera_state import STALE_S, state_of
from shopfloor_edge.journal.state import CameraRow

NOW_S = 1_700_000_000.0


def row(status=CameraStatus.LIVE, reason="", *, age_s=0.5):
    numbers = {"people": 0, "crossings_in": 0, "crossings_out": 0, "frames": 0, "shed": 0}
    return CameraRow(
        camera="door",
        status=status,
        reason=reason,
        fps=10,
        video_bytes=0,
        first_count_at=None,
        updated_at=NOW_S - age_s,
        **numbers,
    )


@pytest.mark.parametrize(
    ("status", "reason", "cause"),
    [
        (CameraStatus.LIVE, "", "live"),
        (CameraStatus.LIVE, "times that do not go forward were mended", "live"),
        (CameraStatus.LIVE, "flapping: lost 5 times in 10 minutes", "flapping"),
        (CameraStatus.ABSENT, "", "absent"),
        (CameraStatus.ABSENT, "cam: no answer on port 554 within 3 s", "unreachable"),
        (CameraStatus.ABSENT, "cam: the name is not known here (x)", "unknown_name"),
        (CameraStatus.MISCONFIGURED, "door: user or password refused", "refused"),
        (CameraStatus.MISCONFIGURED, "door: no video in the stream", "misconfigured"),
        (CameraStatus.STALLED, "", "stalled"),
        (CameraStatus.CONNECTING, "", "connecting"),
        (CameraStatus.ENDED, "", "ended"),
    ],
)
def test_each_fault_is_a_cause_that_people_can_do_something_about(status, reason, cause):
    assert state_of(row(status, reason), NOW_S).cause == cause


@pytest.mark.parametrize("state", [s for s in ViewState if s in _REASONS])
def test_each_useless_picture_has_its_cause(state):
    found = state_of(row(reason=_REASONS[state]), NOW_S)

    assert (found.cause, found.sees) == (str(state), False)


@pytest.mark.parametrize("told", [None, row(age_s=STALE_S + 1), row(age_s=-STALE_S - 1)])
def test_what_vision_does_not_describe_any_more_is_not_watched(told):
    assert state_of(told, NOW_S).cause == "unwatched"


def test_a_recording_that_is_over_stays_over():
    assert state_of(row(CameraStatus.ENDED, age_s=3600), NOW_S).cause == "ended"


@pytest.mark.parametrize("language", sorted(texts.LANGUAGES))
def test_each_cause_has_its_words_its_why_and_what_to_do(language):
    told = texts.messages(language)
    causes = {key.removeprefix("cameras.state_") for key in told if "cameras.state_" in key}

    assert {str(state) for state in _REASONS} < causes
    for cause in causes - {"live"}:
        assert told[f"cameras.why_{cause}"]
        assert told[f"cameras.todo_{cause}"]
