"""One-class judge: what no good part has looked like, found without a single defect to learn from.

A bundle with task ``score-patches`` scores each patch of a part by its distance from remembered
patches of good parts (PatchCore); ``shopfloor-models one-class`` makes it.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from shopfloor_edge.errors import BundleError
from shopfloor_edge.inference.onnx import OnnxRuntime
from shopfloor_edge.inspection.judges.bundle import open_build
from shopfloor_edge.inspection.judges.trained import Band
from shopfloor_edge.inspection.judges.windows import F32
from shopfloor_edge.inspection.ports import Doubt, Finding, Grey, Judgement, Verdict
from shopfloor_edge.inspection.registration import Reference

TASK = "score-patches"
CELL_PX = 8
MULTIPLE = 32
MAX_FINDINGS = 100
BAND = Band()
BORDER = 2
"""Patches there see half of a part; none was learnt."""


class PatchNet:
    """A bundle's network.

    Args:
        folder: an unpacked bundle, ``manifest.json`` and its builds.

    Raises:
        BundleError: the bundle is absent, of another task, or its file not what it says.
    """

    def __init__(self, folder: Path, *, threads: int = 1) -> None:
        self.manifest, path = open_build(folder, TASK)
        self.classes = tuple(self.manifest.classes)
        preprocess = self.manifest.preprocess
        self.size = (preprocess.height_px, preprocess.width_px)
        self._runtime = OnnxRuntime(path, threads=threads)
        given = self._runtime.input
        if given.kind != "uint8" or len(given.shape) != 4 or given.shape[3] != 1:
            raise BundleError(
                f"{path}: input is {given.kind} {list(given.shape)}, expected uint8 [N, H, W, 1]"
            )
        cells = [side // CELL_PX for side in self.size]
        raw = self._runtime.run(np.zeros((1, *self.size, 1), np.uint8))
        if list(raw.shape) != [1, *cells]:
            raise BundleError(f"{path}: output is {list(raw.shape)}, expected {[1, *cells]}")

    def look(self, part: Grey) -> F32:
        """Return ``(H / 8, W / 8)`` scores in [0, 1] of a denoised part."""
        below, right = (want - has for want, has in zip(self.size, part.shape, strict=True))
        filled = cv2.copyMakeBorder(part, 0, below, 0, right, cv2.BORDER_REPLICATE)
        return np.asarray(self._runtime.run(np.asarray(filled)[None, :, :, None])[0], np.float32)


class AnomalyJudge:
    """Finds what is unlike any good part.

    Args:
        reference: a good part; says whether a picture shows this product at all.
        net: what scores patches.
        band: scores between which a person decides.

    Raises:
        BundleError: the network has learnt parts of another size.
    """

    name = "anomaly"

    def __init__(self, reference: Reference, net: PatchNet, band: Band = BAND) -> None:
        size = tuple(side + -side % MULTIPLE for side in reference.picture.shape)
        if size != net.size:
            raise BundleError(
                f"{net.manifest.name} has learnt parts of {net.size[1]} x {net.size[0]} px, "
                f"the reference is one of {size[1]} x {size[0]} px"
            )
        self._reference, self._net, self._band = reference, net, band

    def judge(self, part: Grey) -> Judgement:
        """Judge one part; see ``Judge``."""
        doubt = self._reference.look(part)
        if doubt is not None:
            return Judgement(Verdict.REVIEW, doubt=doubt)
        clean = np.asarray(cv2.medianBlur(part, 3), np.uint8)
        placed = self._reference.place(clean)
        if isinstance(placed, Doubt):
            return Judgement(Verdict.REVIEW, doubt=placed)
        scores = self._net.look(clean)
        _clear_border(scores, max(abs(placed.dx), abs(placed.dy)), part.shape)
        worst = float(scores.max(initial=0.0))
        if worst < self._band.review_at:
            return Judgement(Verdict.PASS)
        findings = self._findings(scores, part.shape)
        if worst >= self._band.fail_at:
            return Judgement(Verdict.FAIL, findings)
        return Judgement(Verdict.REVIEW, findings, Doubt.UNSURE)

    def _findings(self, scores: F32, shape: tuple[int, ...]) -> tuple[Finding, ...]:
        """Return one finding for each group of patches that touch, the surest first."""
        unusual = (scores >= self._band.review_at).astype(np.uint8)
        count, labels, boxes, _ = cv2.connectedComponentsWithStats(unusual, connectivity=8)
        findings = []
        for number in range(1, count):
            x, y, width, height = (int(cells) * CELL_PX for cells in boxes[number, :4])
            box = (x, y, min(x + width, shape[1]), min(y + height, shape[0]))
            score = float(scores[labels == number].max())
            findings.append(Finding(box, self._net.classes[0], score))
        findings.sort(key=lambda finding: -finding.score)
        return tuple(findings[:MAX_FINDINGS])


def _clear_border(scores: F32, moved_px: int, shape: tuple[int, ...]) -> None:
    """Forget patches at the border: much of what they see is no part, more where it was moved."""
    margin = max(BORDER, 1 + -(-moved_px // CELL_PX))
    last_row, last_column = (side // CELL_PX - margin for side in shape[:2])
    scores[:margin] = scores[last_row:] = 0
    scores[:, :margin] = scores[:, last_column:] = 0
