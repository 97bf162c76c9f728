"""Pictures for people, with nobody recognisable in them.

The boxes of the very frame that was inferred are pixelated before anything is kept or written.
No boxes means that the whole frame is pixelated: a detector that failed must not show anybody.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from shopfloor_contracts.site import CameraSpec
from shopfloor_edge.cameras.ports import Planes

BLOCKS = 6
"""A person becomes at most so many blocks across: a face is one or two of them."""
MARGIN_RATIO = 0.15
KEEP_EVERY_S = 0.5
TRAIL_POINTS = 400

Picture = NDArray[np.uint8]


def picture_of(planes: Planes) -> Picture:
    """Return a frame as BGR ``(H, W, 3)``; an odd last row or column is left out."""
    y, u, v = planes
    height, width = y.shape[0] // 2 * 2, y.shape[1] // 2 * 2
    chroma = [plane[: height // 2, : width // 2].reshape(-1) for plane in (u, v)]
    flat = np.concatenate([y[:height, :width].reshape(-1), *chroma])
    picture = cv2.cvtColor(flat.reshape(height * 3 // 2, width), cv2.COLOR_YUV2BGR_I420)
    return np.asarray(picture, np.uint8)


def shrunk(planes: Planes, width_px: int) -> tuple[Planes, float]:
    """Return a frame at most ``width_px`` (even) wide, and the scale that boxes then have.

    Before masking, since that and encoding then cost a fraction, and people get still coarser.
    """
    y = planes[0]
    scale = min(1.0, width_px / y.shape[1])
    if scale == 1.0:
        return planes, scale
    half = (width_px // 2, round(y.shape[0] * scale) // 2)
    sizes = ((half[0] * 2, half[1] * 2), half, half)
    small = [
        np.asarray(cv2.resize(plane, size, interpolation=cv2.INTER_AREA), np.uint8)
        for plane, size in zip(planes, sizes, strict=True)
    ]
    return (small[0], small[1], small[2]), scale


def pixelate(picture: Picture, boxes: NDArray[np.floating]) -> None:
    """Make the boxes (``(N, 4)`` xyxy in pixels, widened a little) coarse, in place.

    Without any box inside the picture, or with one that is no number, all of it becomes coarse.
    """
    height, width = picture.shape[:2]
    parts = parts_of(boxes, width, height) if np.isfinite(boxes).all() else []
    for left, top, right, bottom in parts or [(0, 0, width, height)]:
        part = picture[top:bottom, left:right]
        rows = max(1, round(BLOCKS * (bottom - top) / (right - left)))
        small = cv2.resize(part, (BLOCKS, rows), interpolation=cv2.INTER_AREA)
        part[:] = cv2.resize(small, (right - left, bottom - top), interpolation=cv2.INTER_NEAREST)


def parts_of(
    boxes: NDArray[np.floating], width: int, height: int
) -> list[tuple[int, int, int, int]]:
    """Return the boxes, widened as ``pixelate`` does, as far as they lie in the picture."""
    parts = []
    for x1, y1, x2, y2 in np.asarray(boxes, float).clip(-1e6, 1e6):
        margin_x, margin_y = (x2 - x1) * MARGIN_RATIO, (y2 - y1) * MARGIN_RATIO
        left, top = max(0, int(x1 - margin_x)), max(0, int(y1 - margin_y))
        right, bottom = min(width, int(x2 + margin_x) + 1), min(height, int(y2 + margin_y) + 1)
        if right > left and bottom > top:
            parts.append((left, top, right, bottom))
    return parts


class SceneRecorder:
    """Keeps one masked picture of a camera, and where people walked."""

    def __init__(self, spec: CameraSpec) -> None:
        self._spec = spec
        self._picture: Picture | None = None
        self._people = 0
        self._kept_at_s = -KEEP_EVERY_S
        self._trails: dict[int, list[tuple[int, int]]] = {}

    def offer(self, planes: Planes, boxes: NDArray[np.floating], at_s: float) -> None:
        """Keep the frame, masked, if it shows at least as many people as the one before."""
        if len(boxes) < max(1, self._people) or at_s - self._kept_at_s < KEEP_EVERY_S:
            return
        self._picture = picture_of(planes)
        pixelate(self._picture, boxes)
        self._people, self._kept_at_s = len(boxes), at_s

    def trail(self, ids: NDArray[np.int64], points: NDArray[np.floating]) -> None:
        """Remember where each track has been; the oldest tracks are forgotten."""
        for track, point in zip(ids.tolist(), points, strict=True):
            trail = self._trails.setdefault(track, [])
            trail.append((int(point[0]), int(point[1])))
            del trail[:-TRAIL_POINTS]
        while len(self._trails) > TRAIL_POINTS:
            self._trails.pop(next(iter(self._trails)))

    def write(self, path: Path, *, crossings_in: int, crossings_out: int) -> bool:
        """Write the picture as PNG; return False when no person was ever seen."""
        if self._picture is None:
            return False
        drawn = self._picture.copy()
        size = np.array([drawn.shape[1], drawn.shape[0]])
        self._draw_zones(drawn, size)
        self._draw_trails(drawn)
        self._draw_lines(drawn, size, f"in {crossings_in}  out {crossings_out}")
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), drawn)
        return True

    def _draw_zones(self, drawn: Picture, size: NDArray[np.int64]) -> None:
        for zone in self._spec.zones:
            corners = (np.array(zone.polygon) * size).astype(np.int32)
            shade = drawn.copy()
            cv2.fillPoly(shade, [corners], (200, 140, 40))
            cv2.addWeighted(shade, 0.22, drawn, 0.78, 0, dst=drawn)
            cv2.polylines(drawn, [corners], isClosed=True, color=(220, 160, 60), thickness=2)
            top = corners[corners[:, 1].argmin()]
            _label(drawn, zone.name, (int(top[0]) + 6, int(top[1]) + 20), (220, 160, 60))

    def _draw_trails(self, drawn: Picture) -> None:
        for track, trail in self._trails.items():
            hue = np.array([[[track * 47 % 180, 170, 240]]], np.uint8)
            colour = cv2.cvtColor(hue, cv2.COLOR_HSV2BGR)[0, 0].tolist()
            cv2.polylines(
                drawn,
                [np.array(trail, np.int32)],
                isClosed=False,
                color=colour,
                thickness=1,
                lineType=cv2.LINE_AA,
            )

    def _draw_lines(self, drawn: Picture, size: NDArray[np.int64], counts: str) -> None:
        for line in self._spec.lines:
            a, b = (np.array(line.a) * size).astype(int), (np.array(line.b) * size).astype(int)
            cv2.line(drawn, a.tolist(), b.tolist(), (255, 255, 255), 5, cv2.LINE_AA)
            cv2.line(drawn, a.tolist(), b.tolist(), (40, 40, 230), 3, cv2.LINE_AA)
            middle, along = (a + b) / 2, b - a
            # In is towards the right hand of one who looks from a to b (y points down).
            inward = np.array([-along[1], along[0]]) / max(1.0, float(np.hypot(*along)))
            tip = (middle + 36 * inward).astype(int)
            cv2.arrowedLine(
                drawn,
                middle.astype(int).tolist(),
                tip.tolist(),
                (40, 40, 230),
                2,
                cv2.LINE_AA,
                tipLength=0.35,
            )
            text = f"{line.name}: {counts}" if len(self._spec.lines) == 1 else line.name
            top = a if a[1] < b[1] else b
            _label(drawn, text, (int(top[0]) - 60, int(top[1]) - 10), (40, 40, 230))


def _label(drawn: Picture, text: str, at: tuple[int, int], colour: tuple[int, int, int]) -> None:
    font, scale = cv2.FONT_HERSHEY_SIMPLEX, 0.5
    (width, height), base = cv2.getTextSize(text, font, scale, 1)
    x = max(4, min(at[0], drawn.shape[1] - width - 8))
    y = max(height + 6, min(at[1], drawn.shape[0] - base - 4))
    cv2.rectangle(drawn, (x - 4, y - height - 5), (x + width + 4, y + base + 1), (30, 30, 30), -1)
    cv2.putText(drawn, text, (x, y), font, scale, (255, 255, 255), 1, cv2.LINE_AA)
    cv2.rectangle(drawn, (x - 4, y - height - 5), (x - 2, y + base + 1), colour, -1)
