"""A clip through the device's own decoder, preprocessing and detector, frame by frame."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from shopfloor_contracts.site import ModelSpec
from shopfloor_demo.errors import OperatorError
from shopfloor_edge.cameras.choose import open_source
from shopfloor_edge.errors import SourceEndedError
from shopfloor_edge.inference.choose import choose
from shopfloor_edge.inference.preprocess import Letterbox
from shopfloor_edge.inference.zoo import find_manifest

RUNTIMES = ("onnxruntime", "openvino", "litert", "tensorrt", "motion")
_READ_S = 5.0


@dataclass(frozen=True, slots=True)
class Look:
    """What the detector found on one frame."""

    at_s: float
    size: tuple[int, int]
    boxes: NDArray[np.float32]
    """``(N, 4)`` xyxy in pixels of the frame."""
    scores: NDArray[np.float32]
    labels: list[str]


def replay(clip: Path, model: ModelSpec, wanted: tuple[str, ...]) -> Iterator[Look]:
    """Yield a look at each frame of ``clip``.

    Raises:
        BundleError: the bundle is nowhere, or does not know one of ``wanted``.
        OperatorError: the runtime that ``model`` asks for does not work here.
    """
    manifest = find_manifest(model.bundle)
    chosen = choose(manifest, model, wanted=wanted)
    if chosen.degraded:
        raise OperatorError(chosen.degraded)
    backend = chosen.for_camera()
    letterbox = Letterbox(chosen.preprocess)
    source = open_source(str(clip), "pyav")
    try:
        while True:
            try:
                frame = source.read(_READ_S)
            except SourceEndedError:
                return
            if frame is None:
                continue
            with frame.planes() as planes:
                image, placement = letterbox.from_i420(planes)
                found = backend.infer(image[None])[0]
            found = found[found[:, 4] > 0]
            labels = [manifest.classes[int(number)] for number in found[:, 5]]
            boxes = placement.to_frame(found[:, :4])
            yield Look(frame.at_s, frame.size, boxes, found[:, 4], labels)
    finally:
        source.close()
