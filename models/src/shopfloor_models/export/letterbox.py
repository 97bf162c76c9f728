"""A still picture as the network sees it: the same pixels that a device would give it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from shopfloor_contracts.bundles import Preprocess
from shopfloor_models.errors import DataError

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Still:
    """A letterboxed picture, and the way back."""

    pixels: Pixels
    """``(H, W, 3)``, the network's input size."""
    scale: tuple[float, float]
    """Input pixels per picture pixel, across and down."""
    corner_px: tuple[int, int]
    """Left and top of the picture in the input."""

    def to_picture(self, boxes: NDArray[np.float32]) -> NDArray[np.float32]:
        """Map ``(N, 4)`` xyxy from input pixels to the picture's."""
        mapped = (boxes - np.array(self.corner_px * 2)) / np.array(self.scale * 2)
        return np.asarray(mapped, np.float32)


def letterbox(picture: Pixels, spec: Preprocess) -> Still:
    """Fit a BGR ``(H, W, 3)`` picture into the input, keeping its shape, and pad the rest."""
    height, width = picture.shape[:2]
    ratio = min(spec.width_px / width, spec.height_px / height)
    # Even sizes, because a device resizes planes whose colour has half of the resolution.
    inner_w = min(max(2 * round(width * ratio / 2), 2), spec.width_px)
    inner_h = min(max(2 * round(height * ratio / 2), 2), spec.height_px)
    left = top = 0
    if spec.letterbox == "centre":
        left, top = (spec.width_px - inner_w) // 2, (spec.height_px - inner_h) // 2
    small = cv2.resize(picture, (inner_w, inner_h))
    pixels = np.full((spec.height_px, spec.width_px, 3), spec.pad, np.uint8)
    inside = small[:, :, ::-1] if spec.colour == "rgb" else small
    pixels[top : top + inner_h, left : left + inner_w] = inside
    return Still(pixels, (inner_w / width, inner_h / height), (left, top))


def load_stills(paths: Iterable[Path], spec: Preprocess) -> Pixels:
    """Return all pictures as ``(N, H, W, 3)``.

    Raises:
        DataError: there is none, or a file is no picture.
    """
    stills = [letterbox(read_picture(path), spec).pixels for path in paths]
    if not stills:
        raise DataError("0 pictures, expected at least 1")
    return np.stack(stills)


def read_picture(path: Path) -> Pixels:
    """Decode a file to BGR ``(H, W, 3)``.

    Raises:
        DataError: it cannot be read or is no picture.
    """
    try:
        coded = np.fromfile(path, np.uint8)
    except OSError as e:
        raise DataError(f"{path}: {e.strerror}") from e
    picture = cv2.imdecode(coded, cv2.IMREAD_COLOR) if coded.size else None
    if picture is None:
        raise DataError(f"{path} is no picture")
    return np.asarray(picture, np.uint8)
