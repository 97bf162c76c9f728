"""Where people stand: person-seconds of foot points on a fixed grid over the picture.

Limits: a cell is a share of the picture, not of the floor: far away it covers more ground. Boxes
that the picture's lower edge cuts off put their feet into the last row.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Cells = NDArray[np.int64]
"""``(T,)`` cell numbers, row by row from the top left."""


class HeatGrid:
    """Finds the cells of foot points."""

    def __init__(self, columns: int, rows: int) -> None:
        self.columns, self.rows = columns, rows

    def cells(self, points: NDArray[np.floating], *, size: tuple[int, int]) -> Cells:
        """Return the cell of each of ``(T, 2)`` points in pixels; outside counts as the border."""
        share = np.asarray(points, np.float64).reshape(-1, 2) / np.array(size, np.float64)
        shape = np.array([self.columns, self.rows])
        at = np.clip((share * shape).astype(np.int64), 0, shape - 1)
        numbers: Cells = at[:, 1] * self.columns + at[:, 0]
        return numbers


class HeatSums:
    """Mergeable person-seconds per cell of one window; bounded by the grid, not by the people."""

    def __init__(self, columns: int, rows: int) -> None:
        self.observed_s = 0.0
        self.cells_s = np.zeros((rows, columns))
        """``(rows, columns)``"""

    def hold(self, cells: Cells, seconds: float) -> None:
        """Count time in which people stood on ``cells``; two on one cell count twice."""
        self.observed_s += seconds
        np.add.at(self.cells_s.reshape(-1), cells, seconds)

    def add(self, _occurrence: object) -> None:
        """Nothing happens in a heat map."""

    def rounded(self) -> list[list[float]]:
        """Return the rows in steps of 0.1 s, as they are sent."""
        return [[round(float(cell), 1) for cell in row] for row in self.cells_s]
