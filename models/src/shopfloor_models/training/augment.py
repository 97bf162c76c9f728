"""Pictures as a shop's camera might give them: size, place, light, mirror, mosaics of four."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Boxes = NDArray[np.float32]
PAD = 114
MIN_SIDE_PX = 3.0
MIN_VISIBLE = 0.35
"""A box of which less is left after cropping is no longer labelled."""


@dataclass(frozen=True, slots=True)
class AugmentSettings:
    """How far pictures may differ from what was taken."""

    scale: tuple[float, float] = (0.6, 1.4)
    mosaic: float = 0.5
    flip: float = 0.5
    light: float = 0.35
    grey: float = 0.1
    blur: float = 0.1
    compress: float = 0.15


@dataclass(frozen=True, slots=True)
class Labelled:
    """A decoded picture, BGR, with boxes ``(N, 6)``: class, xyxy in pixels, score."""

    image: Image
    boxes: Boxes


def place(
    item: Labelled, canvas: Image, offset: tuple[int, int], scale: float, clip: tuple[int, ...]
) -> Boxes:
    """Draw a scaled picture into ``canvas`` inside ``clip`` (x1, y1, x2, y2); return its boxes."""
    height, width = item.image.shape[:2]
    shrink = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    scaled = cv2.resize(item.image, size, interpolation=shrink)
    left, top = offset
    x1, y1 = max(clip[0], left), max(clip[1], top)
    x2, y2 = min(clip[2], left + size[0]), min(clip[3], top + size[1])
    if x2 <= x1 or y2 <= y1:
        return item.boxes[:0]
    canvas[y1:y2, x1:x2] = scaled[y1 - top : y2 - top, x1 - left : x2 - left]
    boxes = item.boxes.copy()
    boxes[:, 1:5] = boxes[:, 1:5] * scale + np.array([left, top] * 2, np.float32)
    return _visible(boxes, (x1, y1, x2, y2))


def _visible(boxes: Boxes, clip: tuple[int, ...]) -> Boxes:
    before = (boxes[:, 3] - boxes[:, 1]) * (boxes[:, 4] - boxes[:, 2])
    boxes[:, [1, 3]] = boxes[:, [1, 3]].clip(clip[0], clip[2])
    boxes[:, [2, 4]] = boxes[:, [2, 4]].clip(clip[1], clip[3])
    width, height = boxes[:, 3] - boxes[:, 1], boxes[:, 4] - boxes[:, 2]
    keep = (width >= MIN_SIDE_PX) & (height >= MIN_SIDE_PX)
    keep &= width * height >= MIN_VISIBLE * np.maximum(before, 1e-6)
    return boxes[keep]


def single(
    item: Labelled, size: tuple[int, int], settings: AugmentSettings, random: np.random.Generator
) -> Labelled:
    """Put one picture somewhere on a canvas of ``size`` (width, height)."""
    width, height = size
    canvas = np.full((height, width, 3), PAD, np.uint8)
    fit = min(width / item.image.shape[1], height / item.image.shape[0])
    scale = fit * random.uniform(*settings.scale)
    room = (width - item.image.shape[1] * scale, height - item.image.shape[0] * scale)
    offset = (_between(room[0], random), _between(room[1], random))
    return Labelled(canvas, place(item, canvas, offset, scale, (0, 0, width, height)))


def mosaic(
    items: list[Labelled],
    size: tuple[int, int],
    settings: AugmentSettings,
    random: np.random.Generator,
) -> Labelled:
    """Put four pictures around a point on one canvas: many sizes, many borders."""
    width, height = size
    canvas = np.full((height, width, 3), PAD, np.uint8)
    cx = int(random.uniform(0.3, 0.7) * width)
    cy = int(random.uniform(0.3, 0.7) * height)
    quarters = [(0, 0, cx, cy), (cx, 0, width, cy), (0, cy, cx, height), (cx, cy, width, height)]
    boxes = []
    for item, clip in zip(items, quarters, strict=True):
        rows, columns = item.image.shape[:2]
        fit = min(width / columns, height / rows)
        scale = fit * random.uniform(settings.scale[0], 1.0)
        # Each picture's corner lies at the meeting point, so that what is cut off is its far side.
        left = cx - round(columns * scale) if clip[0] == 0 else cx
        top = cy - round(rows * scale) if clip[1] == 0 else cy
        boxes.append(place(item, canvas, (left, top), scale, clip))
    return Labelled(canvas, np.concatenate(boxes))


def disturb(item: Labelled, settings: AugmentSettings, random: np.random.Generator) -> Labelled:
    """Mirror, light, colour, blur and compression."""
    image, boxes = item.image, item.boxes
    if random.random() < settings.flip:
        image = image[:, ::-1]
        boxes = boxes.copy()
        boxes[:, [1, 3]] = image.shape[1] - boxes[:, [3, 1]]
    gain = 1 + random.uniform(-settings.light, settings.light)
    shift = random.uniform(-30, 30) * settings.light
    tint = random.uniform(0.92, 1.08, 3)
    lit = np.clip(image * (gain * tint) + shift, 0, 255).astype(np.uint8)
    return Labelled(_worsen(lit, settings, random), boxes)


def _worsen(image: Image, settings: AugmentSettings, random: np.random.Generator) -> Image:
    """Take away what cheap cameras take away: colour, sharpness, bits."""
    worse: cv2.typing.MatLike | None = image
    if random.random() < settings.grey:
        worse = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    if random.random() < settings.blur:
        worse = cv2.GaussianBlur(np.asarray(worse), (0, 0), random.uniform(0.4, 1.4))
    if random.random() < settings.compress:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(random.integers(25, 70))]
        worse = cv2.imdecode(cv2.imencode(".jpg", np.asarray(worse), quality)[1], 1)
    return np.ascontiguousarray(np.asarray(worse, np.uint8))


def _between(room: float, random: np.random.Generator) -> int:
    return int(random.uniform(min(0.0, room), max(0.0, room)))
