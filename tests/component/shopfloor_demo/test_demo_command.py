"""The demo's command: one clear line and exit code 2 for the operator's mistakes."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.gstreamer


@pytest.mark.parametrize(
    ("name", "value", "line"),
    [
        ("CAMERA", "/no/such/clip.mp4", "demo: CAMERA is '/no/such/clip.mp4': no such file\n"),
        ("DEMO_SECONDS", "soon", "demo: DEMO_SECONDS is 'soon', expected a number of seconds\n"),
    ],
)
def test_a_mistake_of_the_operator_is_one_line_and_exit_code_2(name, value, line):
    done = subprocess.run(
        [sys.executable, "-m", "shopfloor_demo"],
        env={**os.environ, name: value},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    assert (done.returncode, done.stdout, done.stderr) == (2, "", line)
