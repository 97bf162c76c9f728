"""The demo's RTSP camera as a child process, and small clips for it to play."""

import contextlib
import sys

from shopfloor_demo.gst import Gst
from shopfloor_demo.processes import Processes, free_port, wait_until

SECOND_NS = 1_000_000_000
_ENCODERS = {
    "h264": "x264enc bframes=0 key-int-max={gop} speed-preset=ultrafast ! video/x-h264,"
    "profile=main ! h264parse config-interval=-1 ! video/x-h264,stream-format=byte-stream",
    "h265": "x265enc key-int-max={gop} speed-preset=ultrafast ! h265parse config-interval=-1 "
    "! video/x-h265,stream-format=byte-stream",
}


def write_clip(path, *, size=(160, 120), frames=40, fps=20, codec="h264", gop=10):
    """Write a moving ball as a byte stream."""
    width, height = size
    _run(
        f"videotestsrc num-buffers={frames} pattern=ball ! video/x-raw,format=I420,width={width},"
        f"height={height},framerate={fps}/1 ! {_ENCODERS[codec].format(gop=gop)} "
        f"! filesink location={path}"
    )
    return path


def write_jumping_clip(path, *, frames=40, fps=20):
    """Write a clip twice into one file, so that its times jump back in the middle."""
    _run(
        f"videotestsrc num-buffers={frames} ! video/x-raw,format=I420,width=160,height=120,"
        f"framerate={fps}/1 ! x264enc bframes=0 key-int-max=10 ! h264parse ! mpegtsmux "
        f"! filesink location={path}"
    )
    path.write_bytes(path.read_bytes() * 2)
    return path


def _run(description):
    Gst.init(None)
    pipeline = Gst.parse_launch(description)
    pipeline.set_state(Gst.State.PLAYING)
    ends = Gst.MessageType.EOS | Gst.MessageType.ERROR
    message = pipeline.get_bus().timed_pop_filtered(60 * SECOND_NS, ends)
    pipeline.set_state(Gst.State.NULL)
    assert message is not None
    assert message.type == Gst.MessageType.EOS, message.parse_error()


class RtspCameras:
    """Starts cameras by name, each on a port of its own that it keeps when it is started again."""

    def __init__(self, folder):
        self._folder = folder
        self._ports = {}
        self.processes = Processes(folder / "logs")

    def start(self, name, clip, *flags, fps=20):
        port = self._ports.setdefault(name, free_port())
        address = self._folder / f"{name}.address"
        address.unlink(missing_ok=True)
        argv = [sys.executable, "-m", "shopfloor_demo.camera", str(clip), "--fps", str(fps)]
        argv += ["--port", str(port), "--address-file", str(address)]
        self.processes.start(name, [*argv, *map(str, flags)])
        wait_until(address.exists, timeout_s=30, what=f"address of {name}")
        return address.read_text().strip()

    def address(self, name):
        """Where a camera will be that is not started yet."""
        port = self._ports.setdefault(name, free_port())
        return f"rtsp://127.0.0.1:{port}/stream"


@contextlib.contextmanager
def rtsp_cameras(folder):
    folder.mkdir(parents=True, exist_ok=True)
    cameras = RtspCameras(folder)
    with cameras.processes:
        yield cameras
