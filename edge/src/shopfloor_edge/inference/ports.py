"""What an inference backend is."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

MAX_DETECTIONS = 300

Images = NDArray[np.uint8]
"""``(N, H, W, 3)``, in the colour order and size that the manifest's preprocessing names."""
Detections = NDArray[np.float32]
"""``(N, 300, 6)``: x1, y1, x2, y2 in input pixels, score in [0, 1], class; best first, then 0."""


class InferenceBackend(Protocol):
    """Runs one loaded model. Not thread-safe: one inference loop owns it."""

    @property
    def name(self) -> str:
        """Name of the runtime, for reports."""
        ...

    def warmup(self) -> None:
        """Run once, so that the first frame is not the slow one."""
        ...

    def infer(self, images: Images) -> Detections:
        """Return what is seen on each image."""
        ...
