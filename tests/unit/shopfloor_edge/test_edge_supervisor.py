import time

import pytest

from fakes.cameras import ScriptedOpener, ScriptedSource
from shopfloor_contracts.events import CameraStatus
from shopfloor_edge.cameras.mailbox import Bell, Mailbox
from shopfloor_edge.cameras.patience import FlapCounter, Patience
from shopfloor_edge.cameras.ports import SourceFacts
from shopfloor_edge.cameras.supervisor import CameraSupervisor
from shopfloor_edge.errors import (
    SourceEndedError,
    SourceLostError,
    SourceRefusedError,
    SourceUnusableError,
)

QUICK = Patience(stall_s=0.05, first_frame_s=0.05, pause_first_s=0.01, pause_last_s=0.05)


def supervise(opener, *, is_file=False, fps=1000.0, patience=QUICK):
    return CameraSupervisor("c", opener, is_file=is_file, fps=fps, bell=Bell(), patience=patience)


def run_until_exhausted(opener, **kwargs):
    camera = supervise(opener, **kwargs)
    camera.start()
    assert opener.exhausted.wait(5)
    camera.stop()
    return camera.report


def run_file(opener):
    """Read a file to its end; return the report and the numbers of the frames."""
    camera = supervise(opener, is_file=True, fps=1.0)
    seen = []
    camera.start()
    over = False
    while not over:
        over = camera.finished
        frame = camera.mailbox.take()
        if frame is not None:
            seen.append(frame)
            over = False
    return camera.report, seen


def test_a_lost_camera_is_opened_again_and_counted():
    opener = ScriptedOpener([0.0, SourceLostError("cut")], [1.0, SourceEndedError("eos")])

    report = run_until_exhausted(opener)

    assert report.connects == 2
    assert report.status is CameraStatus.ABSENT
    assert report.reason == "nobody there"
    assert all(source.closed.is_set() for source in opener.opened)
    assert report.video_bytes == 200
    assert report.flaps == 2


def test_silence_is_a_failure_too():
    opener = ScriptedOpener([0.0, *[None] * 10**5])

    run_until_exhausted(opener)

    assert opener.opened[0].closed.is_set()


def test_an_unusable_live_camera_is_misconfigured_and_tried_again():
    opener = ScriptedOpener(SourceUnusableError("no video"), [0.0])

    report = run_until_exhausted(opener)

    assert report.connects == 1


def test_a_refused_password_is_not_tried_again_until_somebody_writes_another():
    opener = ScriptedOpener(SourceRefusedError("password refused"), [0.0])
    camera = supervise(opener)

    camera.start()
    assert opener.tried.wait(5)
    refused_tries = _settled_tries(opener)
    opener.version = 1
    assert opener.exhausted.wait(5)
    camera.stop()

    assert refused_tries == 1
    assert camera.report.connects == 1


def _settled_tries(opener):
    """Wait as long as ten ordinary pauses would take."""
    until_s = time.monotonic() + 10 * QUICK.pause_last_s
    while time.monotonic() < until_s and opener.tries < 2:
        time.sleep(0.01)
    return opener.tries


def test_a_refused_password_is_tried_again_after_the_long_pause():
    opener = ScriptedOpener(SourceRefusedError("password refused"), [0.0])
    patience = Patience(pause_first_s=0.01, pause_last_s=0.05, pause_refused_s=0.05)

    report = run_until_exhausted(opener, patience=patience)

    assert report.connects == 1


def test_a_camera_that_is_lost_often_is_called_flapping_while_it_is_live():
    lost = [[0.0, SourceLostError("cut")] for _ in range(5)]
    opener = ScriptedOpener(*lost, [0.0, *[None] * 10**5])
    patience = Patience(stall_s=30.0, pause_first_s=0.001, pause_last_s=0.001)
    camera = supervise(opener, patience=patience)

    camera.start()
    until_s = time.monotonic() + 5
    while camera.report.connects < 6 and time.monotonic() < until_s:
        time.sleep(0.01)
    report = camera.report
    camera.stop()

    assert report.status is CameraStatus.LIVE
    assert report.reason == "flapping: lost 5 times in 10 minutes"
    assert report.flaps == 5


def test_losses_of_long_ago_are_no_flapping():
    flaps = FlapCounter(Patience())
    for at_s in range(6):
        flaps.lost(float(at_s))

    assert flaps.reason(10.0) == "flapping: lost 6 times in 10 minutes"
    assert flaps.reason(604.5) == ""
    assert flaps.count(700.0) == 0


def test_a_camera_that_never_answered_does_not_flap():
    opener = ScriptedOpener(*[SourceLostError("no route")] * 10)

    report = run_until_exhausted(opener)

    assert report.flaps == 0


@pytest.mark.parametrize("failures", [1, 2, 5, 100])
def test_no_pause_is_longer_than_a_return_may_take(failures):
    patience = Patience()

    pauses = [patience.pause_s(failures) for _ in range(200)]

    assert max(pauses) <= 3.0
    assert len({round(pause, 6) for pause in pauses}) > 100
    assert min(pauses) >= 0.4


def test_a_file_that_is_no_video_ends_misconfigured():
    camera = supervise(ScriptedOpener(SourceUnusableError("no video in it")), is_file=True)

    camera.start()
    camera._thread.join(5)

    assert camera.finished
    assert camera.report.status is CameraStatus.MISCONFIGURED
    assert camera.report.reason == "no video in it"


def test_every_frame_of_a_file_is_handed_on():
    opener = ScriptedOpener([n / 10 for n in range(20)], live=False)

    report, seen = run_file(opener)

    assert [frame.number for frame in seen] == list(range(20))
    assert report.status is CameraStatus.ENDED


def test_a_file_whose_times_were_mended_says_so():
    opener = ScriptedOpener([0.0, 0.1], live=False, facts=SourceFacts(time_jumps=2))

    report, _ = run_file(opener)

    assert report.status is CameraStatus.ENDED
    assert report.reason == "times that do not go forward were mended"


def test_a_live_camera_is_thinned_to_the_rate_asked_for():
    handed_on = []
    camera = supervise(ScriptedOpener(), fps=5.0)
    camera.mailbox.replace = lambda frame: handed_on.append(frame.at_s)
    source = ScriptedSource([n / 25 for n in range(50)])

    with pytest.raises(SourceEndedError):
        camera._pump(source)

    assert len(handed_on) == pytest.approx(10, abs=1)


def test_a_picture_that_changes_its_size_is_reported_and_stays_live(caplog):
    opener = ScriptedOpener([(0.0, (64, 48)), (0.1, (128, 96)), SourceLostError("cut")])

    report = run_until_exhausted(opener)

    assert report.size == (128, 96)
    assert report.connects == 1
    assert [r.now for r in caplog.records if r.message == "picture size changed"] == [(128, 96)]


def test_a_slower_decoder_is_counted_with_its_reason():
    facts = SourceFacts(decoder="avdec_h265", fallback="intel-va does not read this stream")
    opener = ScriptedOpener([0.0], [0.0], facts=facts)

    report = run_until_exhausted(opener)

    assert (report.decoder, report.fallbacks) == ("avdec_h265", 2)
    assert report.fallback_reason == "intel-va does not read this stream"


def test_a_newer_frame_replaces_the_one_not_taken():
    mailbox = Mailbox(Bell())
    source = ScriptedSource([1.0, 2.0])

    mailbox.replace(source.read(1))
    mailbox.replace(source.read(1))

    assert mailbox.take().at_s == 2.0
    assert mailbox.take() is None
    assert mailbox.shed == 1
