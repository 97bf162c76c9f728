"""A C++ exception beside GStreamer is an exception, and not the end of the process."""

import subprocess
import sys

import pytest

from fakes.detector import make_clip
from shopfloor_edge.cameras.choose import gstreamer_problem

pytestmark = [
    pytest.mark.gstreamer,
    pytest.mark.skipif(gstreamer_problem() is not None, reason="wants GStreamer"),
]

CHILD = """
import sys
from shopfloor_edge.cameras.address import CameraAddress
from shopfloor_edge.cameras.gstreamer import GStreamerSource

source = GStreamerSource(CameraAddress(sys.argv[1]))
assert source.read(10.0) is not None
source.close()
from ai_edge_litert.interpreter import Interpreter
try:
    Interpreter(model_content=bytes([8, 7]) * 50)
except ValueError:
    print("an exception")
"""


def test_a_model_runtime_may_throw_after_a_camera_was_read(tmp_path):
    pytest.importorskip("ai_edge_litert", reason="wants ai-edge-litert")
    clip = make_clip(tmp_path / "clip.avi", frames=10)

    child = subprocess.run(
        [sys.executable, "-c", CHILD, str(clip)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (child.returncode, child.stdout) == (0, "an exception\n"), child.stderr
