import threading

import pytest

from fakes.cameras import ScriptedSource
from shopfloor_contracts.events import CameraStatus
from shopfloor_edge.cameras import supervisor as module
from shopfloor_edge.cameras.mailbox import Bell, Mailbox
from shopfloor_edge.cameras.supervisor import CameraSupervisor
from shopfloor_edge.cameras.uris import Medium, medium_of, redact
from shopfloor_edge.errors import SourceEndedError, SourceLostError, SourceUnusableError


@pytest.fixture
def quick(monkeypatch):
    """Waiting times as settings of the test, not of a shop."""
    monkeypatch.setattr(module, "BACKOFF_FIRST_S", 0.01)
    monkeypatch.setattr(module, "STALL_S", 0.05)
    monkeypatch.setattr(module, "FIRST_FRAME_S", 0.05)


class Bank:
    """Hands out one scripted source per opening; then blocks until released."""

    def __init__(self, *scripts, live=True):
        self._scripts, self._live = list(scripts), live
        self.opened, self.exhausted = [], threading.Event()

    def __call__(self):
        if not self._scripts:
            self.exhausted.set()
            raise SourceLostError("nobody there")
        script = self._scripts.pop(0)
        if isinstance(script, Exception):
            raise script
        self.opened.append(ScriptedSource(script, live=self._live))
        return self.opened[-1]


def supervise(bank, *, is_file=False, fps=1000.0):
    return CameraSupervisor("c", bank, is_file=is_file, fps=fps, bell=Bell())


@pytest.mark.usefixtures("quick")
def test_a_lost_camera_is_opened_again_and_counted():
    bank = Bank([0.0, SourceLostError("cut")], [1.0, SourceEndedError("eos")])
    camera = supervise(bank)

    camera.start()
    assert bank.exhausted.wait(5)
    camera.stop()

    assert camera.report.connects == 2
    assert camera.report.status is CameraStatus.ABSENT
    assert camera.report.reason == "nobody there"
    assert all(source.closed.is_set() for source in bank.opened)
    assert camera.report.video_bytes == 200


@pytest.mark.usefixtures("quick")
def test_silence_is_a_failure_too():
    bank = Bank([0.0, *[None] * 10**5])
    camera = supervise(bank)

    camera.start()
    assert bank.exhausted.wait(5)
    camera.stop()

    assert bank.opened[0].closed.is_set()


@pytest.mark.usefixtures("quick")
def test_a_refused_live_camera_is_misconfigured_and_tried_again():
    bank = Bank(SourceUnusableError("password refused"), [0.0])
    camera = supervise(bank)

    camera.start()
    assert bank.exhausted.wait(5)
    camera.stop()

    assert camera.report.connects == 1


def test_a_file_that_is_no_video_ends_misconfigured():
    camera = supervise(Bank(SourceUnusableError("no video in it")), is_file=True)

    camera.start()
    camera._thread.join(5)

    assert camera.finished
    assert camera.report.status is CameraStatus.MISCONFIGURED
    assert camera.report.reason == "no video in it"


def test_every_frame_of_a_file_is_handed_on():
    camera = supervise(Bank([n / 10 for n in range(20)], live=False), is_file=True, fps=1.0)
    seen = []

    camera.start()
    over = False
    while not over:
        over = camera.finished
        frame = camera.mailbox.take()
        if frame is not None:
            seen.append(frame.number)
            over = False

    assert seen == list(range(20))
    assert camera.report.status is CameraStatus.ENDED


def test_a_live_camera_is_thinned_to_the_rate_asked_for():
    handed_on = []
    camera = supervise(Bank(), fps=5.0)
    camera.mailbox.replace = lambda frame: handed_on.append(frame.at_s)
    source = ScriptedSource([n / 25 for n in range(50)])

    with pytest.raises(SourceEndedError):
        camera._pump(source)

    assert len(handed_on) == pytest.approx(10, abs=1)


def test_a_newer_frame_replaces_the_one_not_taken():
    mailbox = Mailbox(Bell())
    source = ScriptedSource([1.0, 2.0])

    mailbox.replace(source.read(1))
    mailbox.replace(source.read(1))

    assert mailbox.take().at_s == 2.0
    assert mailbox.take() is None
    assert mailbox.shed == 1


@pytest.mark.parametrize(
    ("uri", "medium"),
    [
        ("rtsp://10.0.0.1/a", Medium.RTSP),
        ("/dev/video0", Medium.USB),
        ("clips/a.mp4", Medium.FILE),
        ("file:///a.mp4", Medium.FILE),
        ("ftp://host/a", Medium.UNKNOWN),
    ],
)
def test_the_uri_names_the_medium(uri, medium):
    assert medium_of(uri) is medium


def test_user_and_password_are_not_written():
    assert redact("rtsp://admin:p%40ss@cam.local:554/1") == "rtsp://…@cam.local:554/1"
    assert redact("rtsp://cam.local/1") == "rtsp://cam.local/1"
