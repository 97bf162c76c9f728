"""People without a model: what moves before a background that is learnt.

For a device whose model is missing or broken. It counts everything that moves and is about as
tall as it is wide or taller, sees nobody who stands still, and takes a group for one person: its
figures are marked degraded. Mixture of Gaussians per pixel (Zivkovic, ICPR 2004), as in OpenCV.
"""

from __future__ import annotations

import hashlib

import cv2
import numpy as np
from numpy.typing import NDArray

from shopfloor_contracts.bundles import Preprocess
from shopfloor_edge.inference.ports import MAX_DETECTIONS, Detections, Images

PREPROCESS = Preprocess(
    width_px=384, height_px=288, layout="nhwc-uint8", colour="bgr", letterbox="top-left"
)
"""More pixels cost time and find nobody more: what moves is large or far."""
LEARNT_FRAMES = 200
"""20 s at 10 fps: who stands longer is background, and so is light that has changed."""
VARIANCE_MIN = 36.0
"""Squared distance to the background, in its variances, from which a pixel is foreground."""
LEARNING_FRAMES = 10
"""Nothing is found before: everything is new then."""
AREA_MIN_RATIO = 0.0006
AREA_MAX_RATIO = 0.25
"""Of the picture. Smaller is noise; larger is a light that was switched."""
FILL_MIN = 0.25
"""Of a box: a swinging cable is thin in a large one."""
ASPECT_MAX = 1.4
"""Width to height: people are upright, a group of some walks side by side."""
SCORE_MIN, SCORE_MAX = 0.7, 0.95
"""Above what the tracker begins a track with."""
MOTION_DIGEST = hashlib.sha256(b"shopfloor motion 1").hexdigest()
"""Stands where a model's digest stands; changes with this module's figures."""


class MotionBackend:
    """One camera's background: a device has one of these per camera.

    Args:
        person: class number to give to what moves.
    """

    name = "motion"

    def __init__(self, person: int = 0) -> None:
        self._person = person
        self._background = cv2.createBackgroundSubtractorMOG2(
            history=LEARNT_FRAMES, varThreshold=VARIANCE_MIN, detectShadows=True
        )
        self._frames = 0
        self._open = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (3, 3))
        # Taller than wide: legs are joined to their body, neighbours are not to each other.
        self._close = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 13))

    def warmup(self) -> None:
        """Do nothing: a blank picture would be learnt."""

    def infer(self, images: Images) -> Detections:
        """Return what moves; the images are one camera's, in their order in time."""
        found = np.zeros((len(images), MAX_DETECTIONS, 6), np.float32)
        for rows, image in zip(found, images, strict=True):
            boxes = self._moving(image)
            boxes = boxes[np.argsort(-boxes[:, 4], kind="stable")][:MAX_DETECTIONS]
            rows[: len(boxes)] = boxes
        return found

    def _moving(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        mask = self._background.apply(image)
        self._frames += 1
        if self._frames <= LEARNING_FRAMES:
            return np.zeros((0, 6), np.float32)
        # MOG2 marks shadows with 127: they are not the person.
        solid = cv2.threshold(mask, 200, 255, cv2.THRESH_BINARY)[1]
        solid = cv2.morphologyEx(solid, cv2.MORPH_OPEN, self._open)
        solid = cv2.morphologyEx(solid, cv2.MORPH_CLOSE, self._close)
        stats = cv2.connectedComponentsWithStats(solid, connectivity=8)[2][1:]
        x, y, width, height, area = stats.T.astype(np.float32)
        share = area / float(image.shape[0] * image.shape[1])
        fill = area / np.maximum(1.0, width * height)
        likely = (
            (share >= AREA_MIN_RATIO)
            & (share <= AREA_MAX_RATIO)
            & (fill >= FILL_MIN)
            & (width <= ASPECT_MAX * height)
        )
        score = SCORE_MIN + (SCORE_MAX - SCORE_MIN) * np.clip(fill, 0.0, 1.0)
        person = np.full_like(score, self._person)
        rows = np.stack([x, y, x + width, y + height, score, person], axis=1)
        return np.asarray(rows[likely], np.float32)
