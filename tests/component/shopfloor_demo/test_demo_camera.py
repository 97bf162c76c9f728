"""The RTSP test camera as its clients see it."""

from __future__ import annotations

import sys
import threading

import pytest

from shopfloor_demo.processes import Processes, wait_until

pytestmark = pytest.mark.gstreamer
gst = pytest.importorskip("shopfloor_demo.gst", reason="wants GStreamer from the OS packages")
encoding = pytest.importorskip("shopfloor_demo.encoding")
FRAMES, FPS = 40, 20
SECOND_NS = 1_000_000_000


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """Two seconds of a moving ball, as our encoder writes it."""
    folder = tmp_path_factory.mktemp("clip")
    gst.Gst.init(None)
    source = folder / "ball.avi"
    pipeline = gst.Gst.parse_launch(
        f"videotestsrc num-buffers={FRAMES} pattern=ball ! video/x-raw,width=160,height=120,"
        f"framerate={FPS}/1 ! jpegenc ! avimux ! filesink location={source}"
    )
    pipeline.set_state(gst.Gst.State.PLAYING)
    ends = gst.Gst.MessageType.EOS | gst.Gst.MessageType.ERROR
    message = pipeline.get_bus().timed_pop_filtered(20 * SECOND_NS, ends)
    pipeline.set_state(gst.Gst.State.NULL)
    assert message.type == gst.Gst.MessageType.EOS
    target = folder / "ball.h264"
    assert encoding.encode(source, target, progress=lambda frames: None) == FRAMES
    return target


@pytest.fixture
def camera(clip, tmp_path):
    """Start the camera with the given flags; return its address."""
    with Processes(tmp_path / "logs") as processes:

        def start(*flags):
            address = tmp_path / "address"
            address.unlink(missing_ok=True)
            argv = [sys.executable, "-m", "shopfloor_demo.camera", str(clip), "--fps", str(FPS)]
            processes.start("camera", [*argv, "--address-file", str(address), *flags])
            wait_until(address.exists, timeout_s=20, what="address of the camera")
            return address.read_text().strip()

        start.processes = processes
        yield start


def received(url, *, limit=10_000):
    """Return the access units that a client gets, in order, up to ``limit`` or the end."""
    gst.Gst.init(None)
    pipeline = gst.Gst.parse_launch(
        f"rtspsrc location={url} protocols=tcp latency=100 ! rtph264depay ! h264parse "
        "! video/x-h264,stream-format=byte-stream,alignment=au ! appsink name=sink sync=false"
    )
    sink = pipeline.get_by_name("sink")
    pipeline.set_state(gst.Gst.State.PLAYING)
    units = []
    try:
        while len(units) < limit:
            sample = sink.emit("try-pull-sample", 5 * SECOND_NS)
            if sample is None:
                break
            buffer = sample.get_buffer()
            units.append((buffer.pts, buffer.extract_dup(0, buffer.get_size())))
    finally:
        pipeline.set_state(gst.Gst.State.NULL)
    return units


def test_each_of_two_clients_gets_every_frame_from_the_beginning(camera, clip):
    address, results = camera("--once"), [None, None]

    def client(number):
        results[number] = [unit for _, unit in received(address)]

    clients = [threading.Thread(target=client, args=(number,)) for number in (0, 1)]
    for thread in clients:
        thread.start()
    for thread in clients:
        thread.join(timeout=30)

    expected = encoding.access_units(clip)
    assert [len(units) for units in results] == [FRAMES, FRAMES]
    # The first one also carries the parameter sets again; the pictures are the file's bytes.
    assert [unit[-60:] for unit in results[0]] == [unit[-60:] for unit in expected]
    assert camera.processes.wait("camera", timeout_s=15) == 0


def test_frames_come_in_real_time_and_the_clip_is_looped(camera):
    address = camera()

    units = received(address, limit=FRAMES + 10)

    times = [pts for pts, _ in units]
    length_s = (times[-1] - times[0]) / SECOND_NS
    assert len(units) == FRAMES + 10
    assert length_s == pytest.approx((FRAMES + 9) / FPS, abs=0.3)
    assert units[FRAMES][1][-60:] == units[0][1][-60:]


def test_the_camera_outlives_its_clients_and_ends_on_sigterm(camera):
    address = camera()
    for _ in range(3):
        assert len(received(address, limit=2)) == 2

    assert camera.processes.is_running("camera")
    assert camera.processes.stop("camera", grace_s=5) == 0


def test_a_missing_file_is_the_operators_mistake(tmp_path):
    with Processes(tmp_path / "logs") as processes:
        processes.start("camera", [sys.executable, "-m", "shopfloor_demo.camera", "/no/file"])

        assert processes.wait("camera", timeout_s=20) == 2
        assert "/no/file is not a file" in processes.log_path("camera").read_text()
