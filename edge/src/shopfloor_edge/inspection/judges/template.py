"""Template difference: what is there and should not be, what is missing and should be there.

No training, and every finding can be shown beside the reference. The part is moved onto the
reference; where the two differ by more than an edge's width, the place is looked at again, moved
by a few pixels by itself: etching, printing and lenses move edges, and only what no small move
explains is a finding.

Settings were chosen on DeepPCB's training list; ``make eval-inspection`` measures on the other.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from shopfloor_edge.inspection.ports import Box, Doubt, Finding, Grey, Judgement, Verdict
from shopfloor_edge.inspection.registration import Reference

CLASS = "difference"
MAX_FINDINGS = 100
"""More is not a defect but another product or a broken lamp."""


@dataclass(frozen=True, slots=True)
class Tolerance:
    """What is no defect yet. Lengths in pixels of the picture."""

    edge_px: int = 5
    """Width of the band around edges in which material may begin or end."""
    area_px: int = 6
    """Differing pixels that are a finding."""
    join_px: int = 7
    """Differences closer than this are one finding."""
    move_px: int = 3
    """How far a place may lie off by itself."""
    grow_px: int = 10
    """Findings' boxes are made larger on each side, as people draw them."""


@dataclass(frozen=True, slots=True)
class Compared:
    """A part beside the reference, which has been moved to where the part is."""

    reference: Grey
    part: Grey
    """Denoised."""
    findings: tuple[Finding, ...]


class TemplateJudge:
    """Compares with one good part.

    Args:
        reference: a good part.
        tolerance: what is no defect yet.
    """

    name = "template"

    def __init__(self, reference: Reference, tolerance: Tolerance = Tolerance()) -> None:
        self._reference, self._tolerance = reference, tolerance
        size = (tolerance.edge_px, tolerance.edge_px)
        self._edge = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, size)
        self._join = np.ones((tolerance.join_px, tolerance.join_px), np.uint8)

    def judge(self, part: Grey) -> Judgement:
        """Judge one part; see ``Judge``."""
        compared = self.compare(part)
        if isinstance(compared, Doubt):
            return Judgement(Verdict.REVIEW, doubt=compared)
        findings = compared.findings
        return Judgement(Verdict.FAIL if findings else Verdict.PASS, findings)

    def compare(self, part: Grey) -> Compared | Doubt:
        """Return where the part differs, or why that cannot be told."""
        doubt = self._reference.look(part)
        if doubt is not None:
            return doubt
        clean: Grey = cv2.medianBlur(part, 3)  # type: ignore[assignment]
        placed = self._reference.place(clean)
        if isinstance(placed, Doubt):
            return placed
        good, seen = (self._material(picture) for picture in (placed.reference, clean))
        border = max(self._tolerance.edge_px // 2 + 1, abs(placed.dx), abs(placed.dy))
        findings = self._findings(good, seen, border)
        if len(findings) > MAX_FINDINGS:
            return Doubt.OTHER_PRODUCT
        return Compared(placed.reference, clean, tuple(findings))

    def _material(self, picture: Grey) -> Grey:
        # OpenCV rounds a threshold down for whole-number pictures, as a comparison does.
        return np.asarray(
            cv2.threshold(picture, self._reference.threshold, 1, cv2.THRESH_BINARY)[1], np.uint8
        )

    def _limits(self, good: Grey) -> tuple[Grey, Grey]:
        """Return where material may be, and where it must be."""
        may_be: Grey = cv2.dilate(good, self._edge)  # type: ignore[assignment]
        must_be: Grey = cv2.erode(good, self._edge)  # type: ignore[assignment]
        return may_be, must_be

    def _differences(self, good: Grey, seen: Grey) -> Grey:
        may_be, must_be = self._limits(good)
        return (seen & (1 - may_be)) | (must_be & (1 - seen))

    def _findings(self, good: Grey, seen: Grey, border: int) -> list[Finding]:
        differs = self._differences(good, seen)
        _clear_border(differs, border)
        outlines, _ = cv2.findContours(
            cv2.dilate(differs, self._join), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE
        )
        findings = []
        for outline in outlines[: 10 * MAX_FINDINGS]:
            x, y, width, height = cv2.boundingRect(outline)
            area = _area(differs[y : y + height, x : x + width], outline, (x, y))
            if area < self._tolerance.area_px:
                continue
            area = min(area, self._unexplained((x, y, x + width, y + height), good, seen))
            if area >= self._tolerance.area_px:
                box = self._grown((x, y, x + width, y + height), good.shape)
                findings.append(Finding(box, CLASS, area / (area + self._tolerance.area_px)))
        return findings

    def _unexplained(self, box: Box, good: Grey, seen: Grey) -> int:
        """Return the differing pixels that are left at the best move of this place alone."""
        reach, edge = self._tolerance.move_px, self._tolerance.edge_px
        x1, y1, x2, y2 = box
        around = np.s_[
            max(0, y1 - edge - 2 * reach) : y2 + edge + 2 * reach,
            max(0, x1 - edge - 2 * reach) : x2 + edge + 2 * reach,
        ]
        may_be, must_be = self._limits(good[around])
        there = seen[around][reach : -reach or None, reach : -reach or None]
        # A product of two masks, summed at every move, counts the pixels that both have.
        explained = _at_each_move(may_be, there)
        missing = _at_each_move(must_be, 1 - there)
        return round(float((missing - explained).min()) + cv2.countNonZero(there))

    def _grown(self, box: Box, shape: tuple[int, ...]) -> Box:
        """Undo what joining added, and grow."""
        by = self._tolerance.grow_px - self._tolerance.join_px // 2
        x1, y1, x2, y2 = box
        return (
            max(0, x1 - by),
            max(0, y1 - by),
            min(shape[1], x2 + by),
            min(shape[0], y2 + by),
        )


def _area(differs: Grey, outline: cv2.typing.MatLike, corner: tuple[int, int]) -> int:
    """Return the differing pixels inside an outline whose surrounding box begins at ``corner``."""
    inside = np.zeros_like(differs)
    cv2.drawContours(inside, [outline], 0, 1, cv2.FILLED, offset=(-corner[0], -corner[1]))
    return cv2.countNonZero(differs & inside)


def _at_each_move(mask: Grey, there: Grey) -> NDArray[np.float32]:
    """Return how many pixels two masks share, for each place of the smaller in the larger."""
    shared = cv2.matchTemplate(mask.astype(np.float32), there.astype(np.float32), cv2.TM_CCORR)
    return np.asarray(shared, np.float32)


def _clear_border(picture: Grey, width: int) -> None:
    """A part that was moved has no true pixels at its border."""
    picture[:width] = picture[-width:] = 0
    picture[:, :width] = picture[:, -width:] = 0
