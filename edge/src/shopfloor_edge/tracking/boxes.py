"""Geometry of boxes, ``xyxy`` in pixels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Boxes = NDArray[np.floating]
Scores = NDArray[np.floating]


def iou_matrix(a: Boxes, b: Boxes) -> Scores:
    """Intersection over union of every pair.

    Args:
        a: ``(N, 4)``, ``(x1, y1, x2, y2)`` in pixels.
        b: ``(M, 4)``, same frame as ``a``.

    Returns:
        ``(N, M)`` in ``[0, 1]``; a pair of empty boxes scores 0, not NaN.
    """
    top_left = np.maximum(a[:, None, :2], b[None, :, :2])
    bottom_right = np.minimum(a[:, None, 2:], b[None, :, 2:])
    inter = np.clip(bottom_right - top_left, 0.0, None).prod(axis=2)
    area_a = np.clip(a[:, 2:] - a[:, :2], 0.0, None).prod(axis=1)
    area_b = np.clip(b[:, 2:] - b[:, :2], 0.0, None).prod(axis=1)
    union = area_a[:, None] + area_b[None, :] - inter
    return np.where(union > 0, inter / np.where(union > 0, union, 1.0), 0.0)
