"""Percentiles from the buckets of a histogram. Pure."""

from __future__ import annotations

from collections.abc import Sequence


def percentile(
    buckets: Sequence[int], edges: Sequence[float], share: float, *, largest: float
) -> float | None:
    """Return the value below which ``share`` of what was counted lies; None of nothing.

    Inside a bucket values are taken to be spread evenly, so that the error is at most the
    bucket's width. The last bucket has no upper edge: it ends with the largest value seen.

    Args:
        buckets: counts, one more than ``edges``: below the first edge, …, from the last one on.
        edges: ascending.
        share: in ``[0, 1]``.
        largest: maximum of all values; no answer lies above it.
    """
    total = sum(buckets)
    if total == 0:
        return None
    bounds = [0.0, *edges, max(largest, edges[-1])]
    wanted, passed = share * total, 0
    for index, count in enumerate(buckets):
        if count and passed + count >= wanted:
            low, high = bounds[index], bounds[index + 1]
            return min(low + (high - low) * (wanted - passed) / count, largest)
        passed += count
    return largest
