"""``shopfloor-edge camera`` as an installer types it."""

import json
import os
import socket
import subprocess
import sys
import wave

import cv2
import numpy as np
import pytest

from fakes.detector import make_zoo, zoo_environment

pytestmark = pytest.mark.gstreamer
pytest.importorskip("shopfloor_demo.gst", reason="wants GStreamer from the OS packages")
from fakes.rtsp import rtsp_cameras, write_clip  # noqa: E402
from shopfloor_demo.processes import wait_until  # noqa: E402
from shopfloor_edge.errors import JournalError  # noqa: E402
from shopfloor_edge.journal.state import read_state  # noqa: E402

LOG_IN = ("viewer", "Ke1n-Geheimnis")


def camera(*arguments, env=None):
    return subprocess.run(
        [sys.executable, "-m", "shopfloor_edge.main", "camera", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, **(env or {})},
    )


@pytest.fixture(scope="module")
def rtsp(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rtsp")
    clip = write_clip(folder / "clip.h264", size=(320, 240), frames=60, fps=20, gop=20)
    with rtsp_cameras(folder / "cameras") as cameras:
        user, password = LOG_IN
        yield cameras.start("a", clip, "--user", user, "--password", password)


def with_log_in(uri, password=LOG_IN[1]):
    return uri.replace("rtsp://", f"rtsp://{LOG_IN[0]}:{password}@")


def test_a_probe_measures_what_the_camera_was_made_to_send(rtsp):
    done = camera("probe", with_log_in(rtsp), "--json", "--seconds", 4)

    found = json.loads(done.stdout)
    assert done.returncode == 0, done.stderr
    assert (found["codec"], found["profile"]) == ("H.264", "constrained-baseline")
    assert (found["width_px"], found["height_px"]) == (320, 240)
    assert found["fps"] == pytest.approx(20, rel=0.2)
    assert found["announced_fps"] == 20
    assert found["key_frame_interval_s"] == pytest.approx(1.0, abs=0.05)
    assert found["bitrate_kbps"] > 1
    assert 0 < found["decode_ms"] < 100
    assert found["clock_offset_s"] == pytest.approx(0, abs=2)
    assert f"{found['fps']:.0f} frames/s: 10 to 15 are enough" in found["advice"]
    assert not set(LOG_IN) & set(found["camera"].split("/"))


def test_a_probe_says_it_in_words_too(rtsp, tmp_path):
    path = tmp_path / "password"
    path.write_text(LOG_IN[1] + "\n")

    done = camera("probe", rtsp, "--username", LOG_IN[0], "--password-file", path, "--seconds", 1)

    assert done.returncode == 0, done.stderr
    assert "H.264, profile constrained-baseline" in done.stdout
    assert "320 x 240" in done.stdout
    assert LOG_IN[1] not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("uri", "code", "words"),
    [
        ("wrong password", 2, "user or password refused"),
        ("nobody", 1, "refuses; the host is up"),
        ("rtsp://no-such-camera.invalid/1", 1, "the name is not known here"),
        ("silent", 1, "127.0.0.1"),
        ("/dev/video98", 1, "/dev/video98 does not exist"),
        ("no-such-file.mp4", 2, "no-such-file.mp4 does not exist"),
        ("gopher://cam/", 2, "none of rtsp://"),
        ("audio", 2, "no video"),
    ],
)
def test_what_is_wrong_is_one_clear_line(rtsp, tmp_path, uri, code, words):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        uri = {
            "wrong password": with_log_in(rtsp, "wr0ng-one"),
            "nobody": f"rtsp://127.0.0.1:{closed.getsockname()[1]}/1",
            "silent": rtsp.replace("/stream", "/other"),
            "audio": str(write_tone(tmp_path / "tone.wav")) if uri == "audio" else "",
        }.get(uri, uri)
        done = camera("probe", uri, "--seconds", 1)

    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    lines = [line for line in done.stderr.splitlines() if line.startswith("shopfloor-edge: ")]
    assert len(lines) == 1, done.stderr
    assert words in lines[0]
    assert "wr0ng-one" not in done.stderr


def write_tone(path):
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(bytes(16_000))
    return path


@pytest.fixture
def marked_clip(tmp_path):
    """Fine stripes: whatever is not pixelated keeps them."""
    path = tmp_path / "stripes.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10, (128, 96))
    picture = np.zeros((96, 128, 3), np.uint8)
    picture[:, ::4] = picture[:, 1::4] = 255
    for _ in range(20):
        writer.write(picture)
    writer.release()
    return path


def striped_columns(png):
    """Share of the picture in which the stripes still are."""
    grey = cv2.cvtColor(cv2.imread(str(png)), cv2.COLOR_BGR2GRAY).astype(float)
    return float((np.abs(np.diff(grey, axis=1)) > 60).mean())


def test_a_snapshot_pixelates_the_people_and_keeps_the_rest(marked_clip, tmp_path):
    zoo = make_zoo(tmp_path / "zoo")
    png = tmp_path / "a.png"

    done = camera(
        "probe", marked_clip, "--snapshot", png, env=zoo_environment(zoo, tmp_path / "cache")
    )

    assert done.returncode == 0, done.stderr
    assert "1 people pixelated" in done.stdout
    assert 0.2 < striped_columns(png) < 0.45


def test_without_a_usable_detector_the_whole_snapshot_is_pixelated(marked_clip, tmp_path):
    zoo = make_zoo(tmp_path / "zoo")
    (zoo / "models" / "tiny.onnx").write_bytes(b"broken")
    png = tmp_path / "a.png"

    done = camera(
        "probe", marked_clip, "--snapshot", png, env=zoo_environment(zoo, tmp_path / "cache")
    )

    assert done.returncode == 0, done.stderr
    assert "whole picture pixelated: the detector is not usable" in done.stdout
    assert striped_columns(png) < 0.05


def test_nobody_to_be_found_is_an_answer(tmp_path):
    done = camera("discover", "--timeout", "0.4", "--interface", "127.0.0.1", "--json")

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == []


def test_no_log_in_is_in_anything_that_vision_writes(rtsp, tmp_path):
    user, secret = LOG_IN[0], "wr0ng-one"
    site, state, log = (tmp_path / name for name in ("site.toml", "state", "vision.log"))
    site.write_text(
        'site = "s"\ndevice = "d"\nwindow_s = 1\n[[cameras]]\nname = "door"\n'
        f'uri = "{with_log_in(rtsp, secret)}"\n'
        'lines = [{name = "l", a = [0.5, 0.0], b = [0.5, 1.0]}]\n'
    )
    zoo = zoo_environment(make_zoo(tmp_path / "zoo"), tmp_path / "cache")
    argv = [sys.executable, "-m", "shopfloor_edge.main", "--log-level", "debug", "vision"]
    with log.open("wb") as output:
        vision = subprocess.Popen(
            [*argv, "--site", str(site), "--state", str(state)],
            env={**os.environ, **zoo},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            wait_until(
                lambda: "user or password refused" in log.read_text(), timeout_s=60, what="refusal"
            )
            wait_until(lambda: outbox_rows(state) > 0, timeout_s=30, what="event")
            vision.terminate()
            assert vision.wait(20) == 0
        finally:
            vision.kill()
            vision.wait()

    written = [
        log.read_bytes(),
        *(path.read_bytes() for path in state.rglob("*") if path.is_file()),
    ]
    assert not any(word.encode() in content for word in (secret, user) for content in written)


def outbox_rows(state):
    try:
        return read_state(state).outbox_rows
    except JournalError:
        return 0
