"""Capability: detections from frames."""

import os

# onnxruntime 1.29 and later report to their maker from Linux too. Read once, when the library is
# loaded, and this package is what loads it.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
