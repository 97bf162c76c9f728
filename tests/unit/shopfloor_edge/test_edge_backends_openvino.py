"""OpenVINO tells nobody that it was loaded."""

import importlib.util
import os
import subprocess
import sys

import pytest

if importlib.util.find_spec("openvino") is None:
    pytest.skip("wants openvino, the extra openvino", allow_module_level=True)

LOAD = """
import sys
from pathlib import Path
from shopfloor_edge.inference.openvino import OpenVinoBackend
from shopfloor_edge.inference.zoo import find_manifest, resolve
manifest = find_manifest("person-nano")
path = resolve(manifest.build_for("onnx-fp32"), download=False)
OpenVinoBackend(manifest, path, wanted=("person",)).warmup()
print(sorted(name for name, module in sys.modules.items() if "telemetry" in name and module))
print(sorted(path.name for path in Path.home().iterdir()))
"""


def test_no_analytics_are_loaded_and_nothing_is_left_in_the_home_folder(tmp_path):
    """Its converter makes a client id in the home folder and reports each import."""
    done = subprocess.run(
        [sys.executable, "-c", LOAD],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "HOME": str(tmp_path)},
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["[]", "[]"]
