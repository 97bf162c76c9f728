"""A clip through the device's own decoder, preprocessing and detector, frame by frame."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from shopfloor_edge.cameras.choose import open_source
from shopfloor_edge.errors import SourceEndedError
from shopfloor_edge.inference.onnx import OnnxBackend
from shopfloor_edge.inference.preprocess import Letterbox
from shopfloor_edge.inference.zoo import find_manifest, resolve

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


def replay(clip: Path, bundle: str, wanted: tuple[str, ...]) -> Iterator[Look]:
    """Yield a look at each frame of ``clip``.

    Raises:
        BundleError: the bundle is nowhere, or knows none of ``wanted``.
    """
    manifest = find_manifest(bundle)
    build = manifest.build_for("onnx-fp32")
    assert build is not None  # noqa: S101 — the bundles of the zoo have one
    path = resolve(build, download=False)
    backend = OnnxBackend(manifest, path, wanted=wanted)
    letterbox = Letterbox(manifest.preprocess)
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
