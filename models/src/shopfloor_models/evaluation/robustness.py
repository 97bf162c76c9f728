"""How average precision falls when pictures get worse; the same seed spoils them alike."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from shopfloor_models.evaluation.coco import Accuracy, Labelled, accuracy
from shopfloor_models.evaluation.predict import Floats, Predictor
from shopfloor_models.export.letterbox import Pixels

Spoil = Callable[[Labelled, float, np.random.Generator], Labelled]
KEPT_SHARE_MIN = 0.25
"""A box of which a shift leaves less in the picture counts no more."""


@dataclass(frozen=True, slots=True)
class Curve:
    """Average precision over one kind's strengths, weakest first."""

    kind: str
    strengths: tuple[float, ...]
    ap: tuple[float, ...]


def robustness(
    predictor: Predictor, truth: Sequence[Labelled], *, classes: Sequence[int], seed: int = 0
) -> list[Curve]:
    """Measure every kind at every strength."""
    curves = []
    for kind, (_, strengths) in KINDS.items():
        results = []
        for strength in strengths:
            worse = [spoil(one, kind, strength=strength, seed=seed) for one in truth]
            results.append(_measured(predictor, worse, classes).ap)
        curves.append(Curve(kind, strengths, tuple(results)))
    return curves


def robustness_ratio(curves: Sequence[Curve], clean_ap: float) -> float:
    """Return the mean AP over all kinds and strengths as a share of ``clean_ap``; 0 for 0."""
    everything = [ap for curve in curves for ap in curve.ap]
    return float(np.mean(everything)) / clean_ap if clean_ap and everything else 0.0


def spoil(picture: Labelled, kind: str, *, strength: float, seed: int) -> Labelled:
    """Return a worse picture; randomness depends on seed and the picture's name only."""
    generator = np.random.default_rng([seed, zlib.crc32(picture.name.encode())])
    return KINDS[kind][0](picture, strength, generator)


def _measured(predictor: Predictor, truth: Sequence[Labelled], classes: Sequence[int]) -> Accuracy:
    found = predictor.predict([picture.pixels for picture in truth])
    return accuracy(truth, found, classes=classes)


def _with(picture: Labelled, pixels: cv2.typing.MatLike) -> Labelled:
    return replace(picture, pixels=np.clip(pixels, 0, 255).astype(np.uint8))


def _darkness(picture: Labelled, gain: float, _: np.random.Generator) -> Labelled:
    """Multiply light by ``gain``; a camera's values are its square root, roughly (gamma 2.2)."""
    return _with(picture, picture.pixels * gain ** (1 / 2.2))


def _noise(picture: Labelled, sigma: float, generator: np.random.Generator) -> Labelled:
    return _with(picture, picture.pixels + generator.normal(0, sigma, picture.pixels.shape))


def _blur(picture: Labelled, sigma_px: float, _: np.random.Generator) -> Labelled:
    return _with(picture, cv2.GaussianBlur(picture.pixels, (0, 0), sigma_px))


def _compression(picture: Labelled, quality: float, _: np.random.Generator) -> Labelled:
    _done, coded = cv2.imencode(".jpg", picture.pixels, [cv2.IMWRITE_JPEG_QUALITY, int(quality)])
    return _with(picture, np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR)))


def _rain(picture: Labelled, drops: float, generator: np.random.Generator) -> Labelled:
    """Blur the picture inside round drops of 2 to 6 % of its height."""
    height, width = picture.pixels.shape[:2]
    mask = np.zeros((height, width), np.float32)
    for _ in range(int(drops)):
        centre = (int(generator.integers(width)), int(generator.integers(height)))
        radius = max(1, int(height * generator.uniform(0.02, 0.06)))
        cv2.circle(mask, centre, radius, 1.0, -1)
    edge = np.asarray(cv2.GaussianBlur(mask, (0, 0), max(1.0, height / 200)))[..., None]
    through = cv2.GaussianBlur(picture.pixels, (0, 0), height / 40) * 0.8 + 40
    return _with(picture, picture.pixels * (1 - edge) + through * edge)


def _shift(picture: Labelled, share: float, generator: np.random.Generator) -> Labelled:
    """Move picture and boxes by ``share`` of the size in a random direction."""
    height, width = picture.pixels.shape[:2]
    angle = generator.uniform(0, 2 * np.pi)
    dx, dy = share * width * np.cos(angle), share * height * np.sin(angle)
    matrix = np.array([[1, 0, dx], [0, 1, dy]], np.float32)
    pixels: Pixels = np.asarray(
        cv2.warpAffine(picture.pixels, matrix, (width, height), borderValue=(114, 114, 114)),
        np.uint8,
    )
    moved = picture.boxes + np.array([dx, dy] * 2, np.float32)
    inside = np.clip(moved, 0, np.array([width, height] * 2, np.float32))
    keep = _areas(inside) > KEPT_SHARE_MIN * _areas(moved)
    return Labelled(picture.name, pixels, inside[keep], picture.classes[keep])


def _areas(boxes: Floats) -> Floats:
    return np.asarray(np.prod(boxes[:, 2:] - boxes[:, :2], axis=1), np.float32)


KINDS: dict[str, tuple[Spoil, tuple[float, ...]]] = {
    "darkness": (_darkness, (0.25, 0.1, 0.03)),
    "noise": (_noise, (10, 25, 50)),
    "blur": (_blur, (1, 2, 4)),
    "compression": (_compression, (30, 15, 5)),
    "rain": (_rain, (10, 30, 60)),
    "shift": (_shift, (0.05, 0.15, 0.3)),
}
"""Share of light, sigma of 255, sigma in pixels, JPEG quality, drops, share of the size."""
