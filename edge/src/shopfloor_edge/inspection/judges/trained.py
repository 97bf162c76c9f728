"""The trained judge: which of the differences are defects, of which class, and how large.

Differences come from a template judge that is set to find too many; a small network looks at
each of them beside the reference. It runs from a bundle with task ``classify-differences``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from shopfloor_contracts.bundles import Manifest, parse_manifest
from shopfloor_contracts.errors import ZooError
from shopfloor_edge.errors import BundleError
from shopfloor_edge.inference.onnx import OnnxRuntime
from shopfloor_edge.inference.zoo import verify
from shopfloor_edge.inspection.judges.template import Compared, TemplateJudge, Tolerance
from shopfloor_edge.inspection.judges.windows import F32, Pixels, cut
from shopfloor_edge.inspection.ports import Doubt, Finding, Grey, Judgement, Verdict
from shopfloor_edge.inspection.registration import Reference

TARGET = "onnx-fp32"
DIFFERENCES = Tolerance(edge_px=3, area_px=3, join_px=3, move_px=2, grow_px=10)
"""On DeepPCB's training list no defect is left out at these, and a third more places are seen."""
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
        self.manifest = _manifest(folder)
        build = self.manifest.build_for(TARGET)
        if build is None:
            raise BundleError(f"{folder}: {self.manifest.name} has no build {TARGET}")
        path = folder / build.file
        if not path.is_file():
            raise BundleError(f"{path}: no such file")
        verify(path, build.sha256)
        self.classes = tuple(self.manifest.classes)
        self.side_px = self.manifest.preprocess.width_px
        self._runtime = OnnxRuntime(path, threads=threads)
        self._check(path)

    def look(self, windows: Pixels) -> tuple[F32, F32]:
        """Return boxes ``(N, 4)`` in shares of each window, and ``(N, 1 + C)`` probabilities."""
        raw = self._runtime.run(windows)
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
        if not compared.findings:
            return (), 0.0
        places = [finding.box for finding in compared.findings]
        windows = cut((compared.reference, compared.part), places, self._net.side_px)
        shares, odds = self._net.look(windows.pixels)
        defect = 1.0 - odds[:, 0]
        worth = np.flatnonzero(defect >= self._band.review_at)
        boxes = _inside(windows.to_part(shares)[worth], compared.part.shape)
        scores = odds[worth, 1:].max(1)
        findings = tuple(
            Finding(
                (int(boxes[at, 0]), int(boxes[at, 1]), int(boxes[at, 2]), int(boxes[at, 3])),
                self._net.classes[int(odds[worth[at], 1:].argmax())],
                float(scores[at]),
            )
            for at in distinct(boxes, defect[worth])
        )
        return findings, float(defect.max())


def distinct(boxes: F32, scores: F32) -> list[int]:
    """Return the numbers of the boxes that stay when of those that overlap only the best does."""
    sizes = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], 1)
    kept = cv2.dnn.NMSBoxes(sizes.tolist(), scores.tolist(), 0.0, SAME_IOU)
    return [int(at) for at in np.asarray(kept).reshape(-1)]


def _inside(boxes: F32, shape: tuple[int, ...]) -> NDArray[np.float32]:
    height, width = shape[:2]
    limits = np.array((width, height) * 2, np.float32)
    return np.asarray(np.clip(np.round(boxes), 0, limits), np.float32)


def _manifest(folder: Path) -> Manifest:
    path = folder / "manifest.json"
    try:
        manifest = parse_manifest(path.read_text(encoding="utf-8"), source=str(path))
    except FileNotFoundError as e:
        raise BundleError(f"{path}: no such file") from e
    except ZooError as e:
        raise BundleError(str(e)) from e
    if manifest.task != "classify-differences":
        raise BundleError(
            f"{path}: {manifest.name} is made to {manifest.task}, not to classify-differences"
        )
    return manifest
