"""Pure: tracks from detections."""
