"""Capability: detections from frames."""
