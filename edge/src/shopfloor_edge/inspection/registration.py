"""Where a part lies against its reference, and whether it is that product at all."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from shopfloor_edge.inspection.ports import Doubt, Grey

SEARCH_PX = 12
"""How far a part may lie off; a fixture or a trigger that is worse than this wants mending."""
COARSE = 4
FINE_PX = 3
PLAIN_CONTRAST = 4.0
"""Of 255: below, the reference is one plain surface, and only its brightness can be compared."""
DARK_MEAN = 8.0
"""Of 255: no lamp is on."""
FLAT_SHARE = 0.1
"""Of the reference's contrast: there is nothing in the picture."""
SHARP_SHARE = 0.35
"""Of the reference's sharpness; a lens that is dirty or out of focus has less."""
LIKE_SHARE = 0.2
"""As below; a part that differs less is upright without a look at how well it fits upside down."""
UNLIKE_SHARE = 0.5
"""Pixels that differ, as a share of what two unrelated pictures of the same grey levels differ."""


@dataclass(frozen=True, slots=True)
class Placement:
    """The reference, moved to where the part is."""

    reference: Grey
    dx: int
    dy: int
    unlike: float
    """0 the same picture, about 1 unrelated ones."""


class Reference:
    """A good part's picture.

    Args:
        picture: ``(H, W)`` grey, upright, evenly lit.
        threshold: grey level that parts material from none; None finds it by Otsu's method.

    Raises:
        ValueError: a picture without contrast and no threshold: nothing could be told from it.
    """

    def __init__(self, picture: Grey, threshold: float | None = None) -> None:
        self.picture: Grey = np.asarray(cv2.medianBlur(picture, 3), np.uint8)
        self._contrast = _contrast(picture)
        self._is_plain = self._contrast < PLAIN_CONTRAST
        if self._is_plain and threshold is None:
            raise ValueError(
                f"reference has a contrast of {self._contrast:.1f} of 255, "
                f"expected {PLAIN_CONTRAST:g} or a threshold"
            )
        otsu = float(cv2.threshold(self.picture, 0, 255, cv2.THRESH_OTSU)[0])
        self.threshold = otsu if threshold is None else threshold

    @cached_property
    def _sharpness(self) -> float:
        return _sharpness(self.picture)

    @cached_property
    def _turned(self) -> Grey:
        return np.ascontiguousarray(self.picture[::-1, ::-1])

    def look(self, part: Grey) -> Doubt | None:
        """Return why a picture cannot be judged, or None; it is not yet compared."""
        if part.shape != self.picture.shape or part.size == 0:
            return Doubt.NO_PICTURE
        if float(part.mean()) < DARK_MEAN:
            return Doubt.DARK
        if self._is_plain:
            return None
        if _contrast(part) < FLAT_SHARE * self._contrast:
            return Doubt.NO_PART
        if _sharpness(part) < SHARP_SHARE * self._sharpness:
            return Doubt.BLURRED
        return None

    def place(self, part: Grey) -> Placement | Doubt:
        """Move the reference to where ``part`` is; ``part`` is already denoised."""
        if self._is_plain:
            return Placement(self.picture, 0, 0, 0.0)
        placed = _place(self.picture, part)
        if placed.unlike < LIKE_SHARE:
            return placed
        turned = _place(self._turned, part)
        if turned.unlike < min(placed.unlike, UNLIKE_SHARE):
            return Doubt.TURNED
        if placed.unlike < UNLIKE_SHARE:
            return placed
        return Doubt.HALF_PART if self._is_half(part) else Doubt.OTHER_PRODUCT

    def _is_half(self, part: Grey) -> bool:
        """Whether half of the picture fits the reference somewhere, moved further."""
        small_part, small = (_shrink(p, COARSE * 2) for p in (part, self.picture))
        h, w = small_part.shape
        halves = (small_part[: h // 2], small_part[h // 2 :], small_part[:, : w // 2],
                  small_part[:, w // 2 :])  # fmt: skip
        return any(
            float(cv2.matchTemplate(small, half, cv2.TM_CCOEFF_NORMED).max()) > 0.8
            for half in halves
            if half.std() > 1.0
        )


def _place(reference: Grey, part: Grey) -> Placement:
    small_reference, small_part = (_shrink(p, COARSE) for p in (reference, part))
    dx, dy = _search(small_reference, small_part, around=(0, 0), reach=SEARCH_PX // COARSE)
    dx, dy = _search(reference, part, around=(dx * COARSE, dy * COARSE), reach=FINE_PX)
    moved = shifted(reference, -dx, -dy)
    unlike = _difference(part, moved) / max(1e-3, _spread(part))
    return Placement(moved, dx, dy, unlike)


def _search(reference: Grey, part: Grey, *, around: tuple[int, int], reach: int) -> tuple[int, int]:
    """Return the offset into ``reference`` at which ``part``'s inner pixels differ least."""
    margin = reach + max(map(abs, around))
    height, width = part.shape
    inner = part[margin : height - margin, margin : width - margin]
    best, found = np.inf, around
    for dy in range(around[1] - reach, around[1] + reach + 1):
        for dx in range(around[0] - reach, around[0] + reach + 1):
            there = reference[margin + dy : height - margin + dy, margin + dx : width - margin + dx]
            differs = cv2.norm(there, inner, cv2.NORM_L1)
            if differs < best:
                best, found = differs, (dx, dy)
    return found


def shifted(picture: Grey, dx: int, dy: int) -> Grey:
    """Return ``picture`` moved right and down by less than its size; its border is repeated."""
    height, width = picture.shape
    left, top = max(0, dx), max(0, dy)
    right, bottom = left - dx, top - dy
    moved: Grey = cv2.copyMakeBorder(
        picture[bottom : height - top, right : width - left],
        top, bottom, left, right, cv2.BORDER_REPLICATE,
    )  # type: ignore[assignment]  # fmt: skip
    return moved


def _shrink(picture: Grey, by: int) -> Grey:
    size = (picture.shape[1] // by, picture.shape[0] // by)
    small: Grey = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
    return small


def _sharpness(picture: Grey) -> float:
    """Mean square of the Laplacian per contrast: falls when edges are smeared."""
    return _contrast(cv2.Laplacian(picture, cv2.CV_16S)) ** 2 / max(1.0, _contrast(picture) ** 2)


def _contrast(picture: cv2.typing.MatLike) -> float:
    return float(cv2.meanStdDev(picture)[1].item())


def _difference(one: Grey, other: Grey) -> float:
    """Return the mean difference of two pictures' pixels."""
    return float(cv2.norm(one, other, cv2.NORM_L1)) / one.size


def _spread(part: Grey) -> float:
    """Return how much pixels differ that have nothing to do with each other."""
    down, right = part.shape[0] // 3, part.shape[1] // 3
    return _difference(part[down:, right:], part[:-down, :-right])
