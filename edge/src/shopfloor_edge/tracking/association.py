"""Which box continues which track: how alike they are, and the best choice of pairs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
Mask = NDArray[np.bool_]

TINY = 1e-9
"""Added to areas and heights in pixels, so that empty boxes overlap by 0 and not by NaN."""
CONTESTED_FROM = 400
"""Pairs from which finding the uncontested ones costs less than the solver saves."""


def overlap_matrix(tracks: F64, boxes: F64) -> F64:
    """Intersection over union, times the same of the vertical extent alone.

    People who pass each other differ most in where they stand and how tall they are: the height
    term of Hybrid-SORT (Yang et al., AAAI 2024).

    Args:
        tracks: ``(4, T)``, rows x1, y1, x2, y2 in pixels.
        boxes: ``(4, N)``, same frame.

    Returns:
        ``(T, N)`` in [0, 1].
    """
    shared = np.minimum(tracks[2:, :, None], boxes[2:, None, :])
    shared -= np.maximum(tracks[:2, :, None], boxes[:2, None, :])
    np.maximum(shared, 0.0, out=shared)
    size_t, size_b = tracks[2:] - tracks[:2], boxes[2:] - boxes[:2]
    tall: F64 = shared[1]
    inter: F64 = shared[0] * tall
    union = (size_t[0] * size_t[1] + TINY)[:, None] + size_b[0] * size_b[1]
    union -= inter
    span = (size_t[1] + TINY)[:, None] + size_b[1]
    span -= tall
    inter *= tall
    union *= span
    inter /= union
    return inter


def assign(value: F64, allowed: Mask) -> tuple[I64, I64]:
    """Return the rows and columns of the pairs with the largest sum of values.

    Args:
        value: ``(T, N)``, above 0 where allowed.
        allowed: ``(T, N)``; other pairs are never returned.
    """
    if value.size < CONTESTED_FROM:
        return _solve(value, allowed)
    # A pair that is the only one in its row and its column belongs to every best choice.
    per_row, per_column = allowed.sum(axis=1), allowed.sum(axis=0)
    rows, columns = np.nonzero(allowed)
    alone = (per_row[rows] == 1) & (per_column[columns] == 1)
    if alone.all():
        return rows, columns
    some_rows, some_columns = np.unique(rows[~alone]), np.unique(columns[~alone])
    part = np.ix_(some_rows, some_columns)
    left, right = _solve(value[part], allowed[part])
    return (
        np.concatenate([rows[alone], some_rows[left]]),
        np.concatenate([columns[alone], some_columns[right]]),
    )


def _solve(value: F64, allowed: Mask) -> tuple[I64, I64]:
    rows, columns = linear_sum_assignment(value * allowed, maximize=True)
    good = allowed[rows, columns]
    return rows[good], columns[good]
