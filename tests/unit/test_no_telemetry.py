"""Libraries that report to their makers are told not to before they are loaded."""

import os
import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    "module", ["shopfloor_edge.inference.onnx", "shopfloor_models.evaluation.runners"]
)
def test_onnxruntime_is_loaded_with_its_reports_off(module):
    environment = {k: v for k, v in os.environ.items() if k != "ORT_DISABLE_TELEMETRY"}
    program = f"import {module}, os, sys; print('onnxruntime' in sys.modules)"
    program += "; print(os.environ['ORT_DISABLE_TELEMETRY'])"

    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )

    assert done.stdout.split() == ["True", "1"]
