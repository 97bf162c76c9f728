"""Real streams into the real reader: what works, and what each fault is called."""

import contextlib
import itertools
import random
import re
import time
from pathlib import Path

import pytest

from fakes.mjpeg import mjpeg_camera
from shopfloor_contracts.events import CameraStatus
from shopfloor_contracts.site import CameraSpec
from shopfloor_edge.cameras.address import address_of
from shopfloor_edge.cameras.choose import CameraOpener, open_address
from shopfloor_edge.cameras.mailbox import Bell
from shopfloor_edge.cameras.patience import Patience
from shopfloor_edge.cameras.supervisor import CameraSupervisor
from shopfloor_edge.errors import (
    SourceEndedError,
    SourceError,
    SourceLostError,
    SourceRefusedError,
    SourceUnusableError,
)

pytestmark = pytest.mark.gstreamer
pytest.importorskip("shopfloor_demo.gst", reason="wants GStreamer from the OS packages")
from fakes.rtsp import rtsp_cameras, write_clip, write_jumping_clip  # noqa: E402
from shopfloor_edge.cameras.gstreamer import GStreamerSource  # noqa: E402
from shopfloor_edge.cameras.platform import PlatformProbe  # noqa: E402
from shopfloor_edge.cameras.templates import SOFTWARE, Platform  # noqa: E402

LOG_IN = ("viewer", "Ke1n-Geheimnis")


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    return {
        "small": write_clip(folder / "small.h264"),
        "large": write_clip(folder / "large.h264", size=(320, 240)),
        "hevc": write_clip(folder / "hevc.h265", codec="h265"),
    }


@pytest.fixture
def cameras(tmp_path):
    with rtsp_cameras(tmp_path / "cameras") as started:
        yield started


def frames_of(source, *, count, timeout_s=15.0):
    """Read ``count`` frames, or raise what the source raises."""
    frames, until_s = [], time.monotonic() + timeout_s
    try:
        while len(frames) < count and time.monotonic() < until_s:
            frame = source.read(0.5)
            if frame is not None:
                frames.append(frame)
    finally:
        source.close()
    return frames


def watched(spec, condition, *, timeout_s=20.0, **patience):
    """Supervise a camera until ``condition`` holds of its report; return every report seen."""
    camera = CameraSupervisor(
        spec.name,
        CameraOpener(spec),
        is_file=False,
        fps=spec.fps,
        bell=Bell(),
        patience=Patience(**{"pause_first_s": 0.1, **patience}),
    )
    camera.start()
    reports, until_s = [], time.monotonic() + timeout_s
    try:
        while time.monotonic() < until_s:
            reports.append(camera.report)
            if condition(reports[-1]):
                return reports
            time.sleep(0.02)
    finally:
        camera.stop()
    raise AssertionError(f"never came: {reports[-1]}")


@pytest.mark.parametrize("transport", ["tcp", "udp"])
@pytest.mark.parametrize(("clip", "codec"), [("small", "h264"), ("hevc", "h265")])
def test_rtsp_is_read_over_either_transport_in_either_codec(cameras, clips, clip, codec, transport):
    uri = cameras.start("a", clips[clip], "--codec", codec)

    source = open_address(address_of(uri, transport=transport))
    frames = frames_of(source, count=10)

    assert [frame.size for frame in frames] == [(160, 120)] * 10
    assert source.facts.decoder == f"avdec_{codec}"
    assert source.facts.fallback == ""


def test_a_password_is_given_and_a_wrong_one_is_called_refused(cameras, clips, caplog):
    user, password = LOG_IN
    uri = cameras.start("a", clips["small"], "--user", user, "--password", password)
    with_log_in = uri.replace("rtsp://", f"rtsp://{user}:{password}@")

    frames = frames_of(open_address(address_of(with_log_in)), count=3)
    with pytest.raises(SourceRefusedError) as wrong:
        frames_of(open_address(address_of(with_log_in.replace(password, "wr0ng-one"))), count=1)
    with pytest.raises(SourceRefusedError) as none:
        frames_of(open_address(address_of(uri)), count=1)

    assert len(frames) == 3
    for caught in (wrong, none):
        assert "user or password refused" in str(caught.value)
    assert "wr0ng-one" not in str(wrong.value) + caplog.text
    assert user not in str(wrong.value)


def test_a_new_password_file_lets_the_camera_in_at_once(cameras, clips, tmp_path, caplog):
    user, password = LOG_IN
    uri = cameras.start("a", clips["small"], "--user", user, "--password", password)
    path = tmp_path / "password"
    path.write_text("wr0ng-one")
    spec = CameraSpec(name="c", uri=uri, username=user, password_file=str(path))

    def correct(report):
        if report.status is CameraStatus.MISCONFIGURED and path.read_text() != password:
            path.write_text(password)
        return report.status is CameraStatus.LIVE

    reports = watched(spec, correct)

    assert "user or password refused" in " ".join(report.reason for report in reports)
    assert not {password, "wr0ng-one", user} & set(caplog.text.split())


def test_a_stream_that_changes_its_size_goes_on(cameras, clips):
    uri = cameras.start("a", clips["small"], "--then", clips["large"])

    frames = frames_of(open_address(address_of(uri)), count=70)

    assert {frame.size for frame in frames} == {(160, 120), (320, 240)}


def test_pictures_that_are_rubbish_are_a_stall_with_its_reason(cameras, clips):
    uri = cameras.start("a", clips["small"], "--corrupt-from", "1")

    reports = watched(
        CameraSpec(name="c", uri=uri),
        lambda report: report.status is CameraStatus.STALLED,
        stall_s=1.0,
    )

    reason = reports[-1].reason
    assert re.match(r"no frame for 1 s; \d{3,} bytes came that do not decode", reason), reason


def test_half_decoded_pictures_are_left_out(cameras, clips):
    uri = cameras.start("a", clips["small"], "--corrupt-from", "20", fps=20)

    frames = frames_of(open_address(address_of(uri)), count=40, timeout_s=4.0)

    lasted_s = frames[-1].at_s - frames[0].at_s
    assert len(frames) < 0.8 * 20 * max(3.0, lasted_s)


def test_a_picture_of_sixteen_megapixels_is_refused_with_its_size(cameras, tmp_path):
    clip = write_clip(tmp_path / "huge.h264", size=(4608, 3456), frames=2, gop=1)
    uri = cameras.start("a", clip)

    with pytest.raises(SourceUnusableError, match=r"4608 x 3456 \(15\.9 megapixels\), at most 12"):
        frames_of(open_address(address_of(uri)), count=1)


def test_a_server_that_speaks_no_rtsp_is_lost_not_fatal():
    with mjpeg_camera() as address, pytest.raises(SourceError) as caught:
        frames_of(open_address(address_of(address.replace("http://", "rtsp://"))), count=1)

    assert not isinstance(caught.value, SourceRefusedError)


def test_mjpeg_over_http_is_read():
    with mjpeg_camera() as address:
        source = open_address(address_of(address))
        frames = frames_of(source, count=5)

    assert [frame.size for frame in frames] == [(128, 96)] * 5
    assert source.live
    assert source.video_bytes > 1000


def test_mjpeg_over_http_with_a_password():
    with mjpeg_camera(log_in=LOG_IN) as address:
        right = address.replace("http://", "http://{}:{}@".format(*LOG_IN))
        frames = frames_of(open_address(address_of(right)), count=2)
        with pytest.raises(SourceRefusedError, match="user or password refused"):
            frames_of(open_address(address_of(address)), count=1)

    assert len(frames) == 2


def test_a_web_page_in_place_of_a_camera_is_an_error_not_a_wait():
    with mjpeg_camera(page=True) as address:
        source = open_address(address_of(address))

        with pytest.raises(SourceError):
            frames_of(source, count=1)


@pytest.mark.parametrize("reader", ["gstreamer", "pyav"])
def test_a_file_with_rubbish_in_the_middle_is_read_to_an_end(clips, tmp_path, reader):
    if reader == "pyav":
        pytest.importorskip("av")
    content = bytearray(clips["small"].read_bytes())
    middle = len(content) // 2
    content[middle : middle + 2000] = random.Random(0).randbytes(2000)
    path = tmp_path / "broken.h264"
    path.write_bytes(content)

    with pytest.raises((SourceEndedError, SourceUnusableError)):
        frames_of(open_address(address_of(str(path)), reader), count=1000)


def test_opening_again_and_again_holds_no_more_descriptors(cameras, clips):
    uri = cameras.start("a", clips["small"])
    held = []

    for _ in range(6):
        frames_of(open_address(address_of(uri)), count=1)
        held.append(len(list(Path("/proc/self/fd").iterdir())))

    assert len(set(held[1:])) == 1, held


def reads_with(platforms, clip):
    source = GStreamerSource(address_of(str(clip)), platforms=platforms)
    frames = frames_of(source, count=2)
    return source.facts, len(frames)


def test_a_platforms_own_decoder_is_plugged_first(clips):
    platform = Platform("board", ("openh264dec",), ("openh264dec",), SOFTWARE.convert)
    platforms = PlatformProbe([platform])
    try:
        facts, frames = reads_with(platforms, clips["small"])
    finally:
        # The rank is the process's: other tests want the usual decoder.
        platforms.blame(platform, "openh264dec")

    assert (facts.decoder, facts.fallback, frames) == ("openh264dec", "", 2)


def test_a_stream_that_the_hardware_does_not_read_is_decoded_in_software(clips):
    platform = Platform("board", ("jpegdec",), ("jpegdec",), SOFTWARE.convert)

    facts, frames = reads_with(PlatformProbe([platform]), clips["small"])

    assert facts.fallback == "avdec_h264 decodes: board does not read this stream"
    assert frames == 2


def test_hardware_that_is_installed_and_fails_is_given_up(clips):
    convert = f"identity error-after=1 ! {SOFTWARE.convert}"
    platforms = PlatformProbe([Platform("board", ("identity",), (), convert)])

    with pytest.raises(SourceLostError, match="board gave up"):
        reads_with(platforms, clips["small"])
    facts, frames = reads_with(platforms, clips["small"])

    assert facts.fallback == "board: identity failed"
    assert frames == 2


@pytest.mark.parametrize("reader", ["gstreamer", "pyav"])
def test_a_file_whose_times_jump_back_is_read_whole_and_forward(tmp_path, reader):
    if reader == "pyav":
        pytest.importorskip("av")
    source = open_address(address_of(str(write_jumping_clip(tmp_path / "a.ts"))), reader)
    times = []

    with contextlib.closing(source), contextlib.suppress(SourceEndedError):
        times += (source.read(5.0).at_s for _ in range(1000))

    steps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert len(times) >= 78
    assert all(0 < step < 1 for step in steps)
    assert times[-1] - times[0] == pytest.approx(79 / 20, abs=0.3)
