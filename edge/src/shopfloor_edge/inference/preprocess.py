"""From a camera's frame to a model's input: the one path, everywhere.

Frames are I420, as decoders give them. Each plane is resized and only the small picture is
converted to colour, which costs half of converting first.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from shopfloor_contracts.bundles import Preprocess

Plane = NDArray[np.uint8]
Planes = tuple[Plane, Plane, Plane]
"""Y ``(H, W)``, U and V ``(ceil(H/2), ceil(W/2))``; BT.601, limited range."""


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a frame lies in the model's input."""

    scale_x: float
    scale_y: float
    left_px: int
    top_px: int

    def to_frame(self, boxes: NDArray[np.float32]) -> NDArray[np.float32]:
        """Map ``(N, 4)`` xyxy from input pixels to frame pixels."""
        scale = np.array((self.scale_x, self.scale_y) * 2, np.float32)
        if not self.left_px and not self.top_px:
            return boxes / scale
        return (boxes - np.array((self.left_px, self.top_px) * 2, np.float32)) / scale


@dataclass(frozen=True, slots=True)
class _Layout:
    """Buffers and places for frames of one size."""

    inner: tuple[int, int]
    """Width and height of the frame inside the input, even because I420 needs it."""
    placement: Placement
    image: NDArray[np.uint8]
    part: NDArray[np.uint8]
    """The frame's place in ``image``; OpenCV writes straight into it."""
    i420: NDArray[np.uint8]
    planes: Planes
    """Views of ``i420``."""


class Letterbox:
    """Resizes frames into a reused ``(H, W, 3)`` buffer, keeping their shape, padding the rest."""

    def __init__(self, spec: Preprocess) -> None:
        self._spec = spec
        self._size = (0, 0)
        self._layout: _Layout | None = None

    def from_i420(self, planes: Planes) -> tuple[NDArray[np.uint8], Placement]:
        """Return the input image and the frame's place in it; valid until the next call."""
        layout = self._for_size(planes[0].shape[1], planes[0].shape[0])
        for plane, small in zip(planes, layout.planes, strict=True):
            cv2.resize(plane, (small.shape[1], small.shape[0]), dst=small)
        code = cv2.COLOR_YUV2BGR_I420 if self._spec.colour == "bgr" else cv2.COLOR_YUV2RGB_I420
        cv2.cvtColor(layout.i420, code, dst=layout.part)
        return layout.image, layout.placement

    def from_bgr(self, image: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], Placement]:
        """Do the same for a still picture, ``(H, W, 3)`` BGR."""
        layout = self._for_size(image.shape[1], image.shape[0])
        cv2.resize(image, layout.inner, dst=layout.part)
        if self._spec.colour == "rgb":
            cv2.cvtColor(layout.part, cv2.COLOR_BGR2RGB, dst=layout.part)
        return layout.image, layout.placement

    def _for_size(self, width: int, height: int) -> _Layout:
        if self._layout is None or self._size != (width, height):
            self._layout, self._size = _lay_out(self._spec, width, height), (width, height)
        return self._layout


def _lay_out(spec: Preprocess, width: int, height: int) -> _Layout:
    scale = min(spec.width_px / width, spec.height_px / height)
    inner = (_even(width * scale, spec.width_px), _even(height * scale, spec.height_px))
    centred = spec.letterbox == "centre"
    left = (spec.width_px - inner[0]) // 2 if centred else 0
    top = (spec.height_px - inner[1]) // 2 if centred else 0
    image = np.full((spec.height_px, spec.width_px, 3), spec.pad, np.uint8)
    i420 = np.empty((inner[1] * 3 // 2, inner[0]), np.uint8)
    return _Layout(
        inner,
        Placement(inner[0] / width, inner[1] / height, left, top),
        image,
        image[top : top + inner[1], left : left + inner[0]],
        i420,
        _planes_of(i420, inner),
    )


def _planes_of(i420: NDArray[np.uint8], size: tuple[int, int]) -> Planes:
    width, height = size
    flat, luma = i420.reshape(-1), width * height
    half = (height // 2, width // 2)
    return (
        flat[:luma].reshape(height, width),
        flat[luma : luma + luma // 4].reshape(half),
        flat[luma + luma // 4 :].reshape(half),
    )


def _even(length: float, limit: int) -> int:
    return max(2, min(limit, round(length / 2) * 2))
