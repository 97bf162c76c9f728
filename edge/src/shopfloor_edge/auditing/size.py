"""How many clips a wanted certainty takes."""

from __future__ import annotations

from math import ceil

from scipy.special import ndtri

from shopfloor_edge.auditing.estimate import LEVEL, wilson

CLIPS_MAX = 100_000


def clips_needed(
    half_width: float, *, accuracy: float, items_per_clip: float, design: float = 2.0
) -> int:
    """Return the clips after which the interval is at most ``half_width`` to its longer side.

    Args:
        accuracy: expected, in (0, 1].
        items_per_clip: that a drawn clip holds on average, above 0.
        design: what unequal weights and whole clips cost beside independent items; 2 is about
            what sets of forty cost on simulated days (``docs/audits.md``).
    """
    z = float(ndtri(0.5 + LEVEL / 2))

    def wide(clips: int) -> bool:
        low, high = wilson(accuracy, clips * items_per_clip / design, z)
        return max(accuracy - low, high - accuracy) > half_width

    least, most = 1, CLIPS_MAX
    while least < most:
        middle = (least + most) // 2
        least, most = (middle + 1, most) if wide(middle) else (least, middle)
    return ceil(least)
