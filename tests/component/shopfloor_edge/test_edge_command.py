"""``shopfloor-edge`` as an operator types it: every mistake is one line and an exit code."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from fakes.detector import make_clip, make_zoo, write_model, write_zoo, zoo_environment
from shopfloor_edge.errors import BundleError, JournalError
from shopfloor_edge.inference.onnx import OnnxBackend
from shopfloor_edge.inference.preprocess import Letterbox
from shopfloor_edge.inference.zoo import find_manifest, mirror_folder, resolve
from shopfloor_edge.journal.state import read_state

cv2 = pytest.importorskip("cv2")

SITE = """site = "s"
device = "d"
window_s = 5
[[cameras]]
name = "door"
uri = "{uri}"
reader = "{reader}"
lines = [{{name = "l", a = [0.5, 0.0], b = [0.5, 1.0]}}]
zones = [{{name = "z", polygon = [[0, 0], [1, 0], [1, 1], [0, 1]]}}]
"""


def edge(*arguments, env=None, timeout=60):
    return subprocess.run(
        [sys.executable, "-m", "shopfloor_edge.main", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        env={**os.environ, **(env or {})},
    )


def one_line(done):
    """Return the only line of standard error that is not a log line."""
    lines = [line for line in done.stderr.splitlines() if not line.startswith("{")]
    assert len(lines) == 1, done.stderr
    return lines[0]


@pytest.fixture(scope="session")
def tiny_zoo(tmp_path_factory):
    """A zoo with a detector that sees one person, always in the same place."""
    return make_zoo(tmp_path_factory.mktemp("zoo"))


@pytest.fixture
def environment(tiny_zoo, tmp_path):
    return zoo_environment(tiny_zoo, tmp_path / "cache")


@pytest.fixture(scope="session")
def clip(tmp_path_factory):
    return make_clip(tmp_path_factory.mktemp("clip") / "clip.avi", frames=15)


def site(tmp_path, uri, *, reader="auto", text=SITE):
    path = tmp_path / "site.toml"
    path.write_text(text.format(uri=uri, reader=reader))
    return path


@pytest.mark.parametrize("reader", ["gstreamer", "pyav"])
def test_a_file_is_read_whole_and_its_figures_are_in_the_outbox(
    tmp_path, environment, clip, reader
):
    pytest.importorskip("gi" if reader == "gstreamer" else "av")
    done = edge(
        "vision",
        "--site",
        site(tmp_path, clip, reader=reader),
        "--state",
        tmp_path / "state",
        "--report",
        tmp_path / "report.json",
        "--scene",
        tmp_path / "scene.png",
        env=environment,
    )

    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["frames"] == 15
    assert report["video_bytes"] > 1000
    state = read_state(tmp_path / "state")
    assert state.outbox_rows == report["events_committed"] >= 2
    assert (tmp_path / "scene.png").stat().st_size > 1000


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("window_s", "windows_s", ["site.toml", "windows_s", "did you mean 'window_s'"]),
        ("a = [0.5, 0.0]", "a = [1.5, 0.0]", ["site.toml", "a[0] is 1.5", "less than or equal"]),
        ("a = [0.5, 0.0]", "a = [0.5, 1.0]", ["line 'l' has no length"]),
        ('site = "s"', 'site = "My Shop"', ["site is 'My Shop'"]),
        ("[[cameras]]", "[[cameras]", ["not TOML"]),
    ],
)
def test_a_wrong_site_file_is_one_line_and_exit_2(tmp_path, environment, old, new, words):
    path = site(tmp_path, "x.avi", text=SITE.replace(old, new))

    done = edge("vision", "--site", path, "--state", tmp_path / "state", env=environment)

    assert done.returncode == 2
    line = one_line(done)
    assert all(word in line for word in words), line


def test_two_cameras_of_one_name_are_refused(tmp_path, environment):
    body = SITE[SITE.index("[[cameras]]") :]
    path = site(tmp_path, "x.avi", text=SITE + body)

    done = edge("agent", "--site", path, "--state", tmp_path / "state", env=environment)

    assert done.returncode == 2
    assert "two cameras are named 'door'" in one_line(done)


def test_a_site_file_that_is_not_there_is_exit_2(tmp_path):
    done = edge("vision", "--site", tmp_path / "no.toml")

    assert done.returncode == 2
    assert "no.toml: No such file" in one_line(done)


@pytest.mark.parametrize("reader", ["gstreamer", "pyav"])
@pytest.mark.parametrize("content", [b"", b"this is no video " * 1000])
def test_a_file_that_is_no_video_is_exit_2(tmp_path, environment, reader, content):
    pytest.importorskip("gi" if reader == "gstreamer" else "av")
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(content)

    done = edge(
        "vision",
        "--site",
        site(tmp_path, broken, reader=reader),
        "--state",
        tmp_path / "state",
        env=environment,
    )

    assert done.returncode == 2, done.stderr
    assert "broken.mp4" in done.stderr
    assert read_state(tmp_path / "state").cameras[0].status == "misconfigured"


def test_an_absent_camera_is_retried_and_the_others_go_on(tmp_path, environment, clip):
    body = (
        SITE[SITE.index("[[cameras]]") :]
        .replace("door", "yard")
        .replace("{uri}", "rtsp://127.0.0.1:9/none")
    )
    path = site(tmp_path, clip, text=SITE + body)
    command = [sys.executable, "-m", "shopfloor_edge.main", "vision", "--site", str(path)]
    child = subprocess.Popen(
        [*command, "--state", str(tmp_path / "state")],
        env={**os.environ, **environment},
        stderr=subprocess.DEVNULL,
    )
    try:
        rows = wait_for_cameras(
            tmp_path / "state",
            lambda rows: rows["yard"].status == "absent" and rows["door"].status == "ended",
        )
        child.send_signal(signal.SIGTERM)
        assert child.wait(10) == 0
    finally:
        child.kill()
        child.wait()

    assert rows["yard"].reason
    assert rows["door"].frames == 15


def wait_for_cameras(state, condition, timeout_s=20.0):
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        try:
            rows = {row.camera: row for row in read_state(state).cameras}
        except JournalError:
            rows = {}
        if rows and condition(rows):
            return rows
        time.sleep(0.05)
    raise AssertionError(f"cameras did not get there: {rows}")


def count_without_a_model(tmp_path, clip, environment):
    """Run vision where the model cannot be used; return its report."""
    report = tmp_path / "report.json"
    files = ("--state", tmp_path / "state", "--report", report, "--scene", tmp_path / "scene.png")
    done = edge("vision", "--site", site(tmp_path, clip), *files, env=environment)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("inference is degraded") == 1
    return json.loads(report.read_text())


def test_a_model_with_another_digest_is_not_run_and_motion_counts_instead(
    tmp_path, environment, tiny_zoo, clip
):
    zoo = tmp_path / "zoo.toml"
    write_zoo(zoo, "0" * 64)

    report = count_without_a_model(tmp_path, clip, {**environment, "SHOPFLOOR_ZOO": str(zoo)})

    assert (report["backend"], report["precision"], report["frames"]) == ("motion", "none", 15)
    assert "tiny.onnx" in report["degraded"]
    assert f"expected {'0' * 64}" in report["degraded"]
    # Who stands still has no box to be masked by.
    assert not (tmp_path / "scene.png").exists()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"not a network", "not an ONNX model"),
        (np.zeros((1, 300, 7), np.float32), "output is [1, 300, 7]"),
    ],
)
def test_a_model_that_is_not_what_the_manifest_says_is_not_run(
    tmp_path, environment, clip, content, words
):
    path = tmp_path / "mirror" / "models" / "tiny.onnx"
    path.parent.mkdir(parents=True)
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        write_model(path, content)
    write_zoo(tmp_path / "zoo.toml", hashlib.sha256(path.read_bytes()).hexdigest())
    places = {
        "SHOPFLOOR_ZOO": str(tmp_path / "zoo.toml"),
        "SHOPFLOOR_MIRROR": str(tmp_path / "mirror"),
    }

    report = count_without_a_model(tmp_path, clip, {**environment, **places})

    assert report["backend"] == "motion"
    assert words in report["degraded"]


def test_a_bundle_that_does_not_exist_is_exit_2(tmp_path, environment, clip):
    text = SITE.replace("[[cameras]]", '[model]\nbundle = "persn-nano"\n[[cameras]]')

    done = edge(
        "vision",
        "--site",
        site(tmp_path, clip, text=text),
        "--state",
        tmp_path / "state",
        env=environment,
    )

    assert done.returncode == 2
    assert "bundle 'persn-nano' is not in the zoo" in one_line(done)


def test_a_state_folder_that_is_a_file_is_exit_1(tmp_path, environment, clip):
    (tmp_path / "state").write_text("")

    done = edge(
        "vision", "--site", site(tmp_path, clip), "--state", tmp_path / "state", env=environment
    )

    assert done.returncode == 1
    assert "state.db" in one_line(done)


FULL_DISK = """
mount -t tmpfs -o size=800k tmpfs {state}
exec {python} -m shopfloor_edge.main vision --site {site} --state {state} --report {report}
"""


def test_a_full_disk_does_not_stop_the_counting(tmp_path, environment, clip):
    """A real small disk in a mount namespace of its own: it fills while the clip is read."""
    if (
        shutil.which("unshare") is None
        or subprocess.run(["unshare", "-rm", "true"], capture_output=True, check=False).returncode
    ):
        pytest.skip("wants user and mount namespaces (unshare -rm)")
    state, report = tmp_path / "state", tmp_path / "report.json"
    state.mkdir()
    windows = SITE.replace("window_s = 5", "window_s = 1")
    zones = ", ".join(
        f'{{{{name = "z{n}", polygon = [[0, 0], [1, 0], [1, 1], [0, 1]]}}}}' for n in range(60)
    )
    text = windows.replace("zones = [", f"zones = [{zones}, ")
    cameras = text[text.index("[[cameras]]") :]
    many = text + "".join(cameras.replace("door", f"door{n}") for n in range(40))
    script = FULL_DISK.format(
        state=state, python=sys.executable, site=site(tmp_path, clip, text=many), report=report
    )

    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", script],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, **environment},
        check=False,
    )

    assert report.exists(), done.stderr[-2000:]
    assert json.loads(report.read_text())["frames"] == 15 * 41
    assert done.stderr.count("outbox cannot be written") == 1
    assert done.returncode == 1
    assert "events lost at stop" in done.stderr


def test_check_says_what_is_counted(tmp_path):
    done = edge("check", "--site", site(tmp_path, "x.avi"))

    assert done.returncode == 0
    assert done.stdout.strip() == "door: line l, zone z (occupancy)"


@pytest.mark.mirror
def test_the_default_detector_finds_people(tmp_path):
    """YOLOX-nano on one real frame: boxes where the annotation has them."""
    manifest = find_manifest("yolox-nano")
    mirror = mirror_folder()
    footage = mirror / "data" / "video" / "vtest.avi" if mirror else Path("/nonexistent")
    try:
        path = resolve(manifest.builds[0], download=False)
    except BundleError as e:
        pytest.skip(f"wants the detector's weights: {e}")
    if not footage.is_file():
        pytest.skip("wants vtest.avi from SHOPFLOOR_MIRROR")
    frame = cv2.VideoCapture(str(footage)).read()[1]
    image, placement = Letterbox(manifest.preprocess).from_bgr(frame)

    found = OnnxBackend(manifest, path, wanted=("person",)).infer(image[None])[0]

    boxes = placement.to_frame(found[found[:, 4] > 0.5][:, :4])
    assert 4 <= len(boxes) <= 9
    heights = boxes[:, 3] - boxes[:, 1]
    assert (heights > 30).all()
    assert (heights < 140).all()
