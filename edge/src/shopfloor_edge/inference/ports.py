"""What an inference backend is, and what one is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

MAX_DETECTIONS = 300

Images = NDArray[np.uint8]
"""``(N, H, W, 3)``, in the colour order and size that the manifest's preprocessing names."""
Detections = NDArray[np.float32]
"""``(N, 300, 6)``: x1, y1, x2, y2 in input pixels, score in [0, 1], class; best first, then 0."""
Raw = NDArray[np.float32]
"""``(N, rows, columns)``: what a network gives before it is decoded."""


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


@dataclass(frozen=True, slots=True)
class InputSpec:
    """What a loaded file takes."""

    kind: str
    """NumPy's name of the type: ``uint8``, ``float32``, ``int8``."""
    shape: tuple[int | None, ...]
    """None where any size will do."""
    step: float = 1.0
    zero: int = 0
    """Of an int8 input: real = (integer - zero) * step."""


class Runtime(Protocol):
    """A loaded file in a library's hands; knows nothing of detections."""

    @property
    def name(self) -> str:
        """Name of the library, and of the accelerator where it uses one."""
        ...

    @property
    def input(self) -> InputSpec:
        """What ``run`` takes."""
        ...

    def run(self, tensor: NDArray[Any]) -> Raw:
        """Run one batch; the result is the caller's."""
        ...
