"""Square windows around differences: what the trained judge sees, in training and in service."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from shopfloor_edge.inspection.ports import Box, Grey

ROOM = 1.5
"""A window is at least so much wider than the difference: what it joins or parts is to be seen."""

Pixels = NDArray[np.uint8]
"""``(N, side, side, 2)``: the reference, and the part."""
F32 = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Windows:
    """Windows of one part."""

    pixels: Pixels
    places: F32
    """``(N, 3)``: left, top and side in pixels of the part's picture."""

    def to_part(self, shares: F32) -> F32:
        """Map ``(N, 4)`` xyxy from shares of each window to pixels of the part."""
        left_top = np.tile(self.places[:, :2], 2)
        return np.asarray(shares * self.places[:, 2:] + left_top, np.float32)

    def to_shares(self, boxes: F32) -> F32:
        """Undo ``to_part``."""
        left_top = np.tile(self.places[:, :2], 2)
        return np.asarray((boxes - left_top) / self.places[:, 2:], np.float32)


def cut(
    pictures: tuple[Grey, Grey], boxes: Sequence[Box], side_px: int, *, wide: float = 1.0
) -> Windows:
    """Cut a window around each box out of the reference and the part, which lie upon each other.

    Args:
        side_px: a window's side; larger boxes are made smaller to fit in.
        wide: how many times wider than the network's input; training moves the input about in it.
    """
    wide_px = round(side_px * wide)
    pixels = np.empty((len(boxes), wide_px, wide_px, 2), np.uint8)
    places = np.empty((len(boxes), 3), np.float32)
    for number, (x1, y1, x2, y2) in enumerate(boxes):
        side = max(float(side_px), ROOM * max(x2 - x1, y2 - y1)) * wide
        left, top = (x1 + x2 - side) / 2, (y1 + y2 - side) / 2
        places[number] = left, top, side
        scale = wide_px / side
        move = np.array([[scale, 0, -left * scale], [0, scale, -top * scale]], np.float32)
        for channel, picture in enumerate(pictures):
            pixels[number, :, :, channel] = cv2.warpAffine(
                picture, move, (wide_px, wide_px), borderMode=cv2.BORDER_REPLICATE
            )
    return Windows(pixels, places)
