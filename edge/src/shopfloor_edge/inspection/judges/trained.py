"""The trained judge: which of the differences are defects, of which class, and how large.

Differences come from a template judge that is set to find too many; a small network looks at
each of them beside the reference. It runs from a bundle with task ``classify-differences``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from shopfloor_edge.errors import BundleError
from shopfloor_edge.inference.onnx import OnnxRuntime
from shopfloor_edge.inspection.judges.bundle import open_build
from shopfloor_edge.inspection.judges.template import Compared, TemplateJudge, Tolerance
from shopfloor_edge.inspection.judges.windows import F32, Pixels, cut
from shopfloor_edge.inspection.ports import Box, Doubt, Finding, Grey, Judgement, Verdict
from shopfloor_edge.inspection.registration import Reference

TASK = "classify-differences"
DIFFERENCES = Tolerance(edge_px=3, area_px=3, join_px=3, move_px=2, grow_px=10)
"""On DeepPCB's training list no defect is left out at these, and a third more places are seen."""
PIECE_PX = 56
MAX_LOOKS = 200
"""Of one part: what differs in more places is no part with defects."""
BATCH = 4
"""Windows of which a core's cache holds the layers; 32 at once take a fifth longer each."""
SAME_IOU = 0.3
"""Findings that overlap more are one: differences of one defect lie side by side."""


@dataclass(frozen=True, slots=True)
class Band:
    """Scores between which a person decides."""

    review_at: float = 0.2
    fail_at: float = 0.5

    def __post_init__(self) -> None:
        if not 0 <= self.review_at <= self.fail_at <= 1:
            raise ValueError(
                f"review at {self.review_at:g} and fail at {self.fail_at:g}, "
                "expected 0 <= review <= fail <= 1"
            )


class DifferenceNet:
    """A bundle's network.

    Args:
        folder: an unpacked bundle, ``manifest.json`` and its builds.

    Raises:
        BundleError: the bundle is absent, of another task, or its file not what it says.
    """

    def __init__(self, folder: Path, *, threads: int = 1) -> None:
        self.manifest, path = open_build(folder, TASK)
        self.classes = tuple(self.manifest.classes)
        self.side_px = self.manifest.preprocess.width_px
        self._runtime = OnnxRuntime(path, threads=threads)
        self._check(path)

    def look(self, windows: Pixels) -> tuple[F32, F32]:
        """Return boxes ``(N, 4)`` in shares of each window, and ``(N, 1 + C)`` probabilities."""
        batches = range(0, len(windows), BATCH)
        raw = np.concatenate([self._runtime.run(windows[at : at + BATCH]) for at in batches])
        logits = raw[:, 4:] - raw[:, 4:].max(1, keepdims=True)
        odds = np.exp(logits)
        return raw[:, :4], np.asarray(odds / odds.sum(1, keepdims=True), np.float32)

    def _check(self, path: Path) -> None:
        side, found = self.side_px, self._runtime.input
        if found.kind != "uint8" or found.shape[1:] != (side, side, 2):
            raise BundleError(
                f"{path}: input is {found.kind} {list(found.shape)}, "
                f"expected uint8 [N, {side}, {side}, 2]"
            )
        raw = self._runtime.run(np.zeros((1, side, side, 2), np.uint8))
        if raw.shape != (1, 5 + len(self.classes)):
            raise BundleError(
                f"{path}: output is {list(raw.shape)}, expected [1, {5 + len(self.classes)}]"
            )


class TrainedJudge:
    """Names the defects.

    Args:
        reference: a good part.
        net: what tells defects apart.
        band: scores between which a person decides.
    """

    name = "trained"

    def __init__(
        self,
        reference: Reference,
        net: DifferenceNet,
        band: Band = Band(),
        tolerance: Tolerance = DIFFERENCES,
    ) -> None:
        self._template = TemplateJudge(reference, tolerance)
        self._net, self._band = net, band

    def judge(self, part: Grey) -> Judgement:
        """Judge one part; see ``Judge``."""
        compared = self._template.compare(part)
        if isinstance(compared, Doubt):
            return Judgement(Verdict.REVIEW, doubt=compared)
        findings, worst = self._named(compared)
        if worst >= self._band.fail_at:
            return Judgement(Verdict.FAIL, findings)
        if worst >= self._band.review_at:
            return Judgement(Verdict.REVIEW, findings, Doubt.UNSURE)
        return Judgement(Verdict.PASS)

    def _named(self, compared: Compared) -> tuple[tuple[Finding, ...], float]:
        """Return what is worth a person's look, and how sure the surest one is a defect."""
        places = looked_at(compared.findings)
        if not places:
            return (), 0.0
        (boxes, odds), *_ = self._looks(compared, places, turns=1)
        worth = np.flatnonzero(1.0 - odds[:, 0] >= self._band.review_at)
        if len(worth):
            looks = self._looks(compared, [_box(boxes[at]) for at in worth], turns=4)
            boxes[worth] = np.mean([where for where, _ in looks], 0)
            odds[worth] = np.mean([odds[worth], *(more for _, more in looks)], 0)
        findings = tuple(
            Finding(
                _box(boxes[at]),
                self._net.classes[int(odds[at, 1:].argmax())],
                float(odds[at, 1:].max()),
            )
            for at in distinct(boxes, 1.0 - odds[:, 0])
            if 1.0 - odds[at, 0] >= self._band.review_at
        )
        return findings, float(1.0 - odds[:, 0].min())

    def _looks(
        self, compared: Compared, places: Sequence[Box], *, turns: int
    ) -> list[tuple[F32, F32]]:
        """Return the defects' boxes in pixels of the part, and ``(N, 1 + C)`` probabilities.

        Args:
            turns: how many quarter turns, counterclockwise, the network sees; a look each.
        """
        windows = cut((compared.reference, compared.part), places, self._net.side_px)
        turned = [np.rot90(windows.pixels, turn, (1, 2)) for turn in range(turns)]
        shares, odds = self._net.look(np.concatenate(turned))
        height, width = compared.part.shape
        limits = np.array((width, height) * 2, np.float32)
        looks = []
        for turn, more in enumerate(np.split(odds, turns)):
            where = np.split(shares, turns)[turn]
            for _ in range(turn):
                where = turned_back(where)
            looks.append((np.clip(np.round(windows.to_part(where)), 0, limits), more))
        return looks


def looked_at(findings: Sequence[Finding]) -> list[Box]:
    """Return the places of differences; a large one in pieces too, as it may be several defects."""
    places = []
    for x1, y1, x2, y2 in (finding.box for finding in findings):
        places.append((x1, y1, x2, y2))
        columns, rows = (-(-side // PIECE_PX) for side in (x2 - x1, y2 - y1))
        if columns * rows > 1:
            xs, ys = (
                np.linspace(low, high, count + 1).astype(int).tolist()
                for low, high, count in ((x1, x2, columns), (y1, y2, rows))
            )
            places += [
                (xs[column], ys[row], xs[column + 1], ys[row + 1])
                for row in range(rows)
                for column in range(columns)
            ]
    return places[:MAX_LOOKS]


def distinct(boxes: F32, scores: F32) -> list[int]:
    """Return the numbers of the boxes that stay when of those that overlap only the best does."""
    sizes = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], 1)
    kept = cv2.dnn.NMSBoxes(sizes.tolist(), scores.tolist(), 0.0, SAME_IOU)
    return [int(at) for at in np.asarray(kept).reshape(-1)]


def turned_back(shares: F32) -> F32:
    """Return boxes ``(N, 4)`` of a square as they were before it was turned counterclockwise."""
    x1, y1, x2, y2 = shares.T
    return np.stack([1 - y2, x1, 1 - y1, x2], 1)


def _box(box: F32) -> Box:
    x1, y1, x2, y2 = (int(side) for side in box)
    return x1, y1, x2, y2
