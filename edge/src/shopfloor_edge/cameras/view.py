"""How a camera's view compares with the one it is known by: a few numbers of a small grey picture.

Gradients are compared block by block. A block that people cover fails alone, and a change of
light scales gradients without moving them, so both leave most blocks alike.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

WIDTH_PX = 160
"""Enough for structure, and averaging takes the sensor's noise away."""
ROWS_READ = 360
"""About so many rows of a large plane are averaged: four per pixel take as much noise away as need
be, and reading all of a main stream's costs a millisecond."""
BLOCKS_ACROSS, BLOCKS_DOWN = 8, 6
TEXTURED_LEVELS = 1.0
"""Spread of the gradient within a block that has something to compare; less is a plain wall."""
ALIKE_CORRELATION = 0.4
"""Blocks of the same place correlate at .7 to 1, of different places within ± .3."""
BLUR_SIGMA_PX = 4.0
"""Takes away what focus changes, leaves light and shade."""

Luma = NDArray[np.uint8]
_Map = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class View:
    """One small picture and what is derived from it."""

    grey: _Map
    gradient: _Map
    detail: float
    """Mean absolute Laplacian, in grey levels: what defocusing takes first."""
    contrast: float
    """Spread of the blurred picture, in grey levels: what defocusing leaves."""

    def darker_than(self, level: float) -> bool:
        """Say whether the 99th percentile of the grey levels lies below ``level``."""
        # So many pixels at the level put the percentile there: sorting them costs a quarter of a
        # millisecond, and only a dark picture needs it.
        if np.count_nonzero(self.grey >= level) > self.grey.size // 100 + 1:
            return False
        return float(np.percentile(self.grey, 99)) < level

    @property
    def energy(self) -> float:
        """Mean gradient, in grey levels per pixel."""
        return float(self.gradient.mean())


@dataclass(frozen=True, slots=True)
class Comparison:
    """A view beside the reference. Ratios are 1 when nothing changed."""

    alike_ratio: float
    """Share of the textured blocks that look like the reference's, in [0, 1]."""
    energy_ratio: float
    sharpness_ratio: float
    """Detail for the contrast there is, so that light does not count as focus."""


def view_of(luma: Luma) -> View:
    """Reduce a Y plane ``(H, W)`` of any size."""
    height = max(BLOCKS_DOWN * 2, round(luma.shape[0] * WIDTH_PX / luma.shape[1]))
    rows = luma[:: max(1, luma.shape[0] // ROWS_READ)]
    small = cv2.resize(rows, (WIDTH_PX, height), interpolation=cv2.INTER_AREA)
    return _derive(np.asarray(small, np.float32))


def mean_view(views: list[View]) -> View:
    """Return the median picture of several: people who walk through are not in it."""
    return View(
        np.median([view.grey for view in views], axis=0).astype(np.float32),
        np.median([view.gradient for view in views], axis=0).astype(np.float32),
        float(np.median([view.detail for view in views])),
        float(np.median([view.contrast for view in views])),
    )


def blend(reference: View, view: View, share: float) -> View:
    """Move the reference towards a view by ``share``: days go by, shelves are filled."""

    def mixed(old: float, new: float) -> float:
        return old + share * (new - old)

    return View(
        reference.grey + np.float32(share) * (view.grey - reference.grey),
        reference.gradient + np.float32(share) * (view.gradient - reference.gradient),
        mixed(reference.detail, view.detail),
        mixed(reference.contrast, view.contrast),
    )


def compare(view: View, reference: View) -> Comparison:
    """Compare two views of one size."""
    now, known = _centred_blocks(view.gradient), _centred_blocks(reference.gradient)
    norm_now, norm_known = np.linalg.norm(now, axis=1), np.linalg.norm(known, axis=1)
    correlation = (now * known).sum(axis=1) / np.maximum(norm_now * norm_known, 1e-6)
    textured = norm_known / np.sqrt(known.shape[1]) > TEXTURED_LEVELS
    # A scene without any texture cannot tell that it moved.
    alike = float((correlation[textured] > ALIKE_CORRELATION).mean()) if textured.any() else 1.0
    sharp, sharp_known = (one.detail / max(one.contrast, 1.0) for one in (view, reference))
    return Comparison(
        alike, view.energy / max(reference.energy, 1e-6), sharp / max(sharp_known, 1e-6)
    )


def change(view: View, before: View) -> float:
    """Return the mean absolute difference in grey levels."""
    return float(np.abs(view.grey - before.grey).mean())


def _derive(grey: _Map) -> View:
    along_x = cv2.Sobel(grey, cv2.CV_32F, 1, 0, ksize=3, scale=1 / 8)
    along_y = cv2.Sobel(grey, cv2.CV_32F, 0, 1, ksize=3, scale=1 / 8)
    return View(
        grey,
        np.asarray(cv2.magnitude(along_x, along_y), np.float32),
        float(np.abs(cv2.Laplacian(grey, cv2.CV_32F)).mean()),
        float(cv2.GaussianBlur(grey, (0, 0), BLUR_SIGMA_PX).std()),
    )


def _centred_blocks(gradient: _Map) -> _Map:
    """Return ``(blocks, pixels)`` with every block's mean taken away."""
    rows, columns = gradient.shape[0] // BLOCKS_DOWN, gradient.shape[1] // BLOCKS_ACROSS
    cut = gradient[: rows * BLOCKS_DOWN, : columns * BLOCKS_ACROSS]
    blocks = cut.reshape(BLOCKS_DOWN, rows, BLOCKS_ACROSS, columns).swapaxes(1, 2)
    flat = blocks.reshape(BLOCKS_DOWN * BLOCKS_ACROSS, rows * columns)
    return np.asarray(flat - flat.mean(axis=1, keepdims=True), np.float32)
