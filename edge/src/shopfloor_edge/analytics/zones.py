"""Who stands in a zone.

Definition: a person is in a zone while the foot point of their track lies inside the polygon
(even-odd rule; the border belongs to the inside on its left and upper edges).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.floating]


def inside(points: Points, polygon: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Tell for each of ``(N, 2)`` points whether it lies in the ``(K, 2)`` polygon.

    Both in the same units; the polygon is closed by itself.
    """
    points = np.asarray(points, np.float64).reshape(-1, 2)
    start, end = polygon, np.roll(polygon, -1, axis=0)
    x, y = points[:, 0:1], points[:, 1:2]
    spans = (start[:, 1] > y) != (end[:, 1] > y)
    rise = np.where(end[:, 1] == start[:, 1], 1.0, end[:, 1] - start[:, 1])
    cut = start[:, 0] + (y - start[:, 1]) / rise * (end[:, 0] - start[:, 0])
    result: NDArray[np.bool_] = (np.sum(spans & (x < cut), axis=1) % 2).astype(bool)
    return result


def distances(points: Points, polygon: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return how far each of ``(N, 2)`` points is from the border of the ``(K, 2)`` polygon.

    Both in the same units, in which the result is too.
    """
    points = np.asarray(points, np.float64).reshape(-1, 2)
    along = np.roll(polygon, -1, axis=0) - polygon
    offset = points[:, None, :] - polygon[None, :, :]
    length = np.maximum((along**2).sum(axis=1), 1e-18)
    share = np.clip((offset * along).sum(axis=2) / length, 0.0, 1.0)
    away = offset - share[..., None] * along
    result: NDArray[np.float64] = np.sqrt((away**2).sum(axis=2)).min(axis=1)
    return result


class ZoneCounter:
    """Head count of one zone of one camera."""

    def __init__(self, name: str, polygon: list[tuple[float, float]]) -> None:
        self.name = name
        self._polygon = np.array(polygon)

    def count(self, points: Points, *, size: tuple[int, int]) -> int:
        """Return how many of ``(T, 2)`` foot points in pixels are inside."""
        return int(inside(points, self._polygon * np.array(size)).sum())
