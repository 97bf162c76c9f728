"""A picture of what a camera sees, with nobody recognisable in it."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from shopfloor_contracts.errors import ContractError
from shopfloor_edge.cameras.ports import Frame, Planes
from shopfloor_edge.errors import BundleError, EdgeError, OperatorError
from shopfloor_edge.inference.onnx import OnnxBackend
from shopfloor_edge.inference.preprocess import Letterbox
from shopfloor_edge.inference.zoo import find_manifest, resolve
from shopfloor_edge.vision.evidence import picture_of, pixelate

BUNDLE, TARGET = "person-nano", "onnx-fp32"
"""Ships with the release: no site file is needed to look at a camera."""


def write_snapshot(frame: Frame, path: Path) -> str:
    """Write the frame as PNG and say how it is masked.

    Without a detector that works, and where it sees nobody, the whole picture is made coarse: an
    empty room and a person who was missed look alike from here.

    Raises:
        OperatorError: the file cannot be written.
    """
    with frame.planes() as planes:
        boxes, problem = _people(planes)
        picture = picture_of(planes)
    pixelate(picture, boxes)
    encoded, content = cv2.imencode(".png", picture)
    if not encoded:
        raise EdgeError(f"{path}: a picture of {picture.shape} cannot be written as PNG")
    try:
        path.write_bytes(content.tobytes())
    except OSError as e:
        raise OperatorError(f"{path}: {e.strerror or e}") from e
    if problem:
        return f"whole picture pixelated: {problem}"
    return f"{len(boxes)} people pixelated" if len(boxes) else "nobody seen: all of it pixelated"


def _people(planes: Planes) -> tuple[NDArray[np.float32], str]:
    """Return the boxes ``(N, 4)`` xyxy in frame pixels, or none and why not."""
    nobody = np.zeros((0, 4), np.float32)
    try:
        manifest = find_manifest(BUNDLE)
        build = manifest.build_for(TARGET)
        if build is None:
            raise BundleError(f"bundle {BUNDLE} has no build for {TARGET}")
        detector = OnnxBackend(manifest, resolve(build, download=False), wanted=("person",))
    except (EdgeError, ContractError) as e:
        return nobody, f"the detector is not usable ({e})"
    image, placement = Letterbox(manifest.preprocess).from_i420(planes)
    found = detector.infer(image[None])[0]
    found = found[found[:, 4] > 0]
    return placement.to_frame(found[:, :4]), ""
