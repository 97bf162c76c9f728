"""Real footage of the mirror as grey pictures, and what can happen to a lens."""

from pathlib import Path

import cv2
import numpy as np

from shopfloor_edge.inference.zoo import mirror_folder

VTEST_FPS = 10.0
WIDTH_PX = 480
"""Three times what health looks at: blur and shift are still made finer than they are measured."""


def clips():
    """Return every clip of the mirror, none without one."""
    mirror = mirror_folder()
    folder = mirror / "data" / "video" if mirror else Path("/nonexistent")
    return sorted(path for path in folder.glob("*") if path.suffix in (".avi", ".mp4", ".gif"))


def grey_frames(path, *, fps=1.0):
    """Return the clip's luma at ``fps``, each ``(H, W)`` uint8."""
    capture = cv2.VideoCapture(str(path))
    own_fps = VTEST_FPS if path.name == "vtest.avi" else capture.get(cv2.CAP_PROP_FPS) or 10.0
    frames, number, due = [], 0, 0.0
    while True:
        found, picture = capture.read()
        if not found:
            return frames
        if number / own_fps >= due:
            grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
            height = round(grey.shape[0] * WIDTH_PX / grey.shape[1])
            frames.append(cv2.resize(grey, (WIDTH_PX, height), interpolation=cv2.INTER_AREA))
            due += 1 / fps
        number += 1


def blurred(grey, *, sigma_ratio=0.008):
    """Defocus; ``sigma_ratio`` of the width."""
    return cv2.GaussianBlur(grey, (0, 0), sigma_ratio * grey.shape[1])


def covered(grey, *, seed=0):
    """A hand on the lens: a dim glow of what was there, and noise."""
    light = cv2.GaussianBlur(cv2.resize(grey, (24, 18), interpolation=cv2.INTER_AREA), (0, 0), 4)
    glow = cv2.resize(light, grey.shape[::-1], interpolation=cv2.INTER_LINEAR) * 0.3 + 40
    noise = np.random.default_rng(seed).normal(0, 3, grey.shape)
    return (glow + noise).clip(0, 255).astype(np.uint8)


def black(grey, *, seed=0):
    noise = np.random.default_rng(seed).normal(17, 2, grey.shape)
    return noise.clip(0, 255).astype(np.uint8)


def moved(grey, *, right=0.0, down=0.0, degrees=0.0, zoom=1.0):
    """Shift by shares of the picture, turn and zoom about the middle."""
    height, width = grey.shape
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, zoom)
    matrix[:, 2] += (right * width, down * height)
    return cv2.warpAffine(grey, matrix, (width, height), borderMode=cv2.BORDER_REFLECT)


def lit(grey, *, gain=1.0, gamma=1.0):
    """Another light."""
    return (255 * (grey / 255) ** gamma * gain).clip(0, 255).astype(np.uint8)
