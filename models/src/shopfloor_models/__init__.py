"""Everything that makes a model bundle; nothing here runs on a device."""

import os

# onnxruntime 1.29 and later report to their maker from Linux too; read when it is loaded.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
