"""Whether a frame can be anything new: skips inference while nothing moves.

A frame is skipped only when all of this holds: its picture is that of the last frame that was
inferred; nobody seen there was moving, new, or near a line, neither then nor in the seconds
before, in which it may still be skipped once everybody is gone; and that frame is not too old.
The comparison is with the last *inferred* frame, so slow changes add up until they are looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import hypot, inf, isfinite

import cv2
import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.uint8]
Points = NDArray[np.floating]
Small = NDArray[np.int16]
Point = tuple[float, float]

COLUMNS, ROWS = 80, 45
"""About so many cells the luma plane is averaged into: a person whom the detector can find is
at least two of them high."""
REFERENCE_LEAD_S = 1.0
"""So long before the gate may skip again, references are kept again; longer than any camera's
frame takes to come, or else one more frame is inferred."""
ROWS_READ = 216
"""About so many rows of a large plane are averaged: the others say the same."""


@dataclass(frozen=True, slots=True)
class GateSettings:
    """Set on footage that no figure is reported on: see ``docs/performance.md``."""

    change_levels: float = 6.0
    """A cell has changed when its mean differs by more, of 255."""
    change_cells: int = 3
    """So many changed cells among nine neighbours are something new. Fewer, or the same number
    all over the picture, are noise of the codec."""
    tolerance_max: float = 40.0
    """A cell that changed while the detector saw nobody (a flag, a screen) tolerates up to so
    much; a person changes more cells than those."""
    tolerance_forget_s: float = 120.0
    """Time constant in which a tolerance is forgotten."""
    refresh_s: float = 1.0
    """Nobody in view: look at least so often."""
    refresh_max_s: float = 2.0
    """Each look at a picture that stands still and shows nobody doubles the time to the next, up to
    this: shorter than it takes to walk from the edge of a picture across a line within it."""
    refresh_people_s: float = 0.5
    """People in view who stand still: within the time that the tracker remembers them."""
    awake_s: float = 2.0
    """After somebody moved, came or was lost, every frame is looked at while anybody is in view;
    longer than the tracker keeps who is hidden."""
    awake_alone_s: float = 0.4
    """Meanwhile, when nobody is in view any more: look at least so often. Who comes out from behind
    something changes the picture."""
    moved_heights: float = 0.1
    """A foot point that went further than this share of its box's height moved."""
    line_heights: float = 1.0
    """Who is nearer to a line than this many times their height is always looked at."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What the last inferred frame showed."""

    ids: NDArray[np.int64]
    """``(T,)`` visible tracks."""
    feet: Points
    """``(T, 2)`` in pixels."""
    heights: NDArray[np.floating]
    """``(T,)`` of their boxes, in pixels."""
    untracked: int
    """Boxes that are sure and belong to no confirmed track yet."""


class MotionGate:
    """The gate of one camera. Belongs to the inference loop's thread.

    Args:
        lines: ends of the counting lines, shares of the frame's width and height.
    """

    def __init__(
        self,
        lines: Sequence[tuple[Point, Point]],
        settings: GateSettings | None = None,
    ) -> None:
        self._settings = settings or GateSettings()
        self._lines = tuple(lines)
        self._reference: Small | None = None
        self._tolerance: NDArray[np.float32] | None = None
        self._difference: Small | None = None
        self._looked_at_s = -inf
        self._awake_until_s = inf
        self._people = 0
        # Nobody was seen, not even without a track.
        self._alone = False
        self._refresh_s = self._settings.refresh_s
        self._anchors: dict[int, Point] = {}

    def skips(self, luma: Plane, at_s: float) -> bool:
        """Say whether the frame need not be inferred; if it must, it is the new reference.

        Args:
            luma: ``(H, W)`` the frame's Y plane.
            at_s: when it was taken; must not go back.
        """
        if self._awake_until_s - at_s > REFERENCE_LEAD_S and not self._alone:
            # Whatever it shows, it is inferred; and so is the next, without which no reference.
            self._reference = self._difference = None
            self._looked_at_s = at_s
            return False
        small = shrink(luma)
        settings = self._settings
        awake = at_s < self._awake_until_s
        refresh_s = settings.refresh_people_s if self._people else self._refresh_s
        if awake:
            refresh_s = settings.awake_alone_s if self._alone else 0.0
        # A frame that comes a little early must not cost a whole further interval.
        due = at_s - self._looked_at_s >= refresh_s - 0.02
        changed = self._changed(small)
        if not changed and not due:
            return True
        grown_s = max(settings.refresh_s, min(settings.refresh_max_s, 2 * self._refresh_s))
        self._refresh_s = settings.refresh_s if changed or awake else grown_s
        self._fade(at_s - self._looked_at_s)
        self._reference, self._looked_at_s = small, at_s
        return False

    def saw(self, seen: Seen, *, size: tuple[int, int], at_s: float) -> None:
        """Take what inference found in the frame that was not skipped.

        Args:
            size: width and height of the frame in pixels.
        """
        # First, and always: the anchors must follow also while somebody is near a line.
        moved = self._moved(seen)
        fresh = not isfinite(self._awake_until_s)
        if moved or seen.untracked or fresh or self._near_a_line(seen, size):
            self._awake_until_s = at_s + self._settings.awake_s
        self._people = len(seen.ids)
        self._alone = not self._people and not seen.untracked
        if self._alone:
            self._tolerate()
        else:
            self._refresh_s = self._settings.refresh_s

    def forget(self) -> None:
        """Look at the next frames whatever they show: inference failed, or the stream is new."""
        self._reference, self._awake_until_s, self._alone = None, inf, False

    def _changed(self, small: Small) -> bool:
        reference, tolerance = self._reference, self._tolerance
        if tolerance is None or tolerance.shape != small.shape:
            reference = None
            self._tolerance = np.full(small.shape, self._settings.change_levels, np.float32)
        if reference is None or tolerance is None:
            self._difference = None
            return True
        self._difference = np.abs(small - reference)
        changed = np.asarray(self._difference > tolerance, np.uint8)
        if int(np.count_nonzero(changed)) < self._settings.change_cells:
            return False
        together = cv2.boxFilter(changed, -1, (3, 3), normalize=False)
        return int(together.max()) >= self._settings.change_cells

    def _tolerate(self) -> None:
        """Nobody is there: what changed since the look before is no person."""
        if self._difference is not None and self._tolerance is not None:
            # What flutters does so around where it was seen: the neighbours tolerate it too.
            around = cv2.dilate(self._difference.astype(np.float32), np.ones((3, 3), np.uint8))
            learnt = np.minimum(around * np.float32(1.25), self._settings.tolerance_max)
            np.maximum(self._tolerance, learnt, out=self._tolerance)

    def _fade(self, elapsed_s: float) -> None:
        if self._tolerance is not None:
            base = np.float32(self._settings.change_levels)
            kept = np.float32(np.exp(-elapsed_s / self._settings.tolerance_forget_s))
            self._tolerance = base + (self._tolerance - base) * kept

    def _moved(self, seen: Seen) -> bool:
        """Compare with where each track stood; who is new or gone counts as moved."""
        before, self._anchors = self._anchors, {}
        ids = seen.ids.tolist()
        moved = bool(before.keys() - set(ids))
        limits = (seen.heights * self._settings.moved_heights).tolist()
        for track, (x, y), limit in zip(ids, seen.feet.tolist(), limits, strict=True):
            anchor = before.get(track)
            if anchor is None or hypot(x - anchor[0], y - anchor[1]) > limit:
                moved, anchor = True, (x, y)
            self._anchors[track] = anchor
        return moved

    def _near_a_line(self, seen: Seen, size: tuple[int, int]) -> bool:
        if not len(seen.ids):
            return False
        limits = (seen.heights * self._settings.line_heights).tolist()
        feet = seen.feet.tolist()
        for a, b in self._lines:
            ends = (a[0] * size[0], a[1] * size[1]), (b[0] * size[0], b[1] * size[1])
            if any(
                _distance(foot, *ends) < limit for foot, limit in zip(feet, limits, strict=True)
            ):
                return True
        return False


def shrink(luma: Plane) -> Small:
    """Average the plane into cells, about ``(ROWS, COLUMNS)`` int16.

    Cells are whole pixels and the rest of the plane is left out: averaging whole pixels is five
    times as fast, and the rest is less than a cell.
    """
    rows = luma[:: max(1, luma.shape[0] // ROWS_READ)]
    height, width = max(1, rows.shape[0] // ROWS), max(1, luma.shape[1] // COLUMNS)
    cells = luma.shape[1] // width, rows.shape[0] // height
    whole = rows[: cells[1] * height, : cells[0] * width]
    return np.asarray(cv2.resize(whole, cells, interpolation=cv2.INTER_AREA), dtype=np.int16)


def _distance(point: Sequence[float], a: Point, b: Point) -> float:
    """Return how far a point is from the segment."""
    along, off = (b[0] - a[0], b[1] - a[1]), (point[0] - a[0], point[1] - a[1])
    share = (off[0] * along[0] + off[1] * along[1]) / (along[0] ** 2 + along[1] ** 2)
    share = min(1.0, max(0.0, share))
    return hypot(off[0] - share * along[0], off[1] - share * along[1])
