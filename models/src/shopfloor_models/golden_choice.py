"""Which pictures a golden clip is made of, and how they are made fit to leave the site.

A clip travels with its bundle, so heads of people become coarse blocks and colours coarse steps.
Some frames are tinted: on grey ones a build that exchanges red and blue finds the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from shopfloor_contracts.bundles import Build, Golden, Manifest
from shopfloor_models.data.samples import Sample
from shopfloor_models.errors import DataError, MissingExtraError
from shopfloor_models.evaluation.predict import Floats
from shopfloor_models.export.letterbox import Pixels, letterbox, read_picture
from shopfloor_models.golden import Clip, GoldenPredictor, compare, write_clip

CLIP = "golden.npz"
FRAMES = 4
CANDIDATES = 24
"""Pictures looked at; enough to find four that tell something, seconds on one core."""
CASTS = ((1.0, 1.0, 1.0), (1.0, 0.5, 0.0), (0.0, 0.5, 1.0))
"""Gain of each channel: none, and the two that an exchange of red and blue turns into another."""
STEP = 16
"""Values of 256 to one step of colour; a frame then packs to a tenth of its size."""
HEAD_RATIO = 0.22
"""Share of a person's height that is hidden from the top."""
HEAD_BLOCKS = 3
FLOAT_TARGET = "onnx-fp32"
QUANTISED = {"tolerance_px": 4.0, "tolerance_score": 0.15}
"""INT8 moves boxes: YOLOX-nano's U8S8 build agrees with fp32 on 19 of 72 frames within 2 px and
.1, on 44 within these; on 80 classes every frame has someone to lose."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A frame that might be in the clip."""

    picture: int
    """Number of the picture that it is of."""
    frame: Pixels
    rows: Floats
    """``(300, 6)`` of the trusted build."""
    sure: float
    """Sum of the scores that are asked for."""
    telling: bool
    """Whether exchanged colours are found out on it."""


def with_golden(
    manifest: Manifest, folder: Path, samples: Sequence[Sample], *, say: Callable[[str], None]
) -> Manifest:
    """Write the clip into an unpacked bundle's folder and return the manifest that names it.

    The float build is trusted. Frames on which another build differs are left out: the gates have
    judged it, and the clip is to tell whether a device runs it as it ran here. A build that
    differs on every frame is refused, told to ``say`` and removed.

    Raises:
        DataError: a picture cannot be read, or the clip cannot be written.
    """
    golden = Golden(clip=CLIP, sha256="0" * 64, size_bytes=0)
    if len(manifest.builds) > 1:
        golden = golden.model_copy(update=QUANTISED)
    candidates = _candidates(manifest, folder, samples, golden)
    kept = list[Build]()
    for build in manifest.builds:
        agreeing = _agreeing(manifest, folder / build.file, candidates, golden)
        if build.target == FLOAT_TARGET or agreeing:
            kept, candidates = [*kept, build], agreeing or candidates
        else:
            say(f"refused: {build.target}: finds something else on each of the golden pictures")
            (folder / build.file).unlink()
    chosen = choose(candidates)
    clip = Clip(np.stack([c.frame for c in chosen]), np.stack([c.rows for c in chosen]))
    written = write_clip(clip, folder / CLIP)
    tolerances = {"tolerance_px": golden.tolerance_px, "tolerance_score": golden.tolerance_score}
    update = {"builds": kept, "golden": written.model_copy(update=tolerances)}
    return manifest.model_copy(update=update)


def choose(candidates: Sequence[Candidate], count: int = FRAMES) -> list[Candidate]:
    """Return ``count`` frames of different pictures: half that tell most, the rest the surest."""
    surest = sorted(candidates, key=lambda one: -one.sure)
    chosen: list[Candidate] = []
    for pool, limit in (([c for c in surest if c.telling], (count + 1) // 2), (surest, count)):
        for one in pool:
            if len(chosen) < limit and one.picture not in {c.picture for c in chosen}:
                chosen.append(one)
    return sorted(chosen, key=lambda one: one.picture)


def fit_to_leave(frame: Pixels, people: Floats) -> Pixels:
    """Return a frame with heads as coarse blocks and colours in steps.

    Args:
        frame: ``(H, W, 3)``.
        people: ``(P, 4)`` xyxy in its pixels.
    """
    hidden = frame.copy()
    height, width = frame.shape[:2]
    for x1, y1, x2, y2 in people.tolist():
        left, right = int(max(0, x1)), int(min(width, np.ceil(x2)))
        top, bottom = int(max(0, y1)), int(min(height, np.ceil(y1 + HEAD_RATIO * (y2 - y1))))
        if right <= left or bottom <= top:
            continue
        head = hidden[top:bottom, left:right]
        down = max(1, round(HEAD_BLOCKS * (bottom - top) / (right - left)))
        coarse = cv2.resize(head, (HEAD_BLOCKS, down), interpolation=cv2.INTER_AREA)
        head[:] = cv2.resize(
            coarse, (right - left, bottom - top), interpolation=cv2.INTER_NEAREST
        ).reshape(head.shape)
    return np.asarray(hidden // STEP * STEP + STEP // 2, np.uint8)


def _candidates(
    manifest: Manifest, folder: Path, samples: Sequence[Sample], golden: Golden
) -> list[Candidate]:
    build = manifest.build_for(FLOAT_TARGET) or manifest.builds[0]
    predictor = GoldenPredictor(folder / build.file, manifest)
    step = max(1, -(-len(samples) // CANDIDATES))
    found = []
    for number, sample in enumerate(samples[::step]):
        still = _still(manifest, predictor, sample)
        for cast in CASTS:
            frame = np.asarray(still * np.array(cast), np.uint8)
            rows, swapped = predictor.find(
                np.stack([frame, np.ascontiguousarray(frame[:, :, ::-1])])
            )
            apart = compare(rows[None], swapped[None], golden=golden, score_min=manifest.score_min)
            asked = rows[rows[:, 4] >= manifest.score_min + golden.tolerance_score, 4]
            found.append(Candidate(number, frame, rows, float(asked.sum()), not apart.agrees))
    return found


def _still(manifest: Manifest, predictor: GoldenPredictor, sample: Sample) -> Pixels:
    """Return a picture in the input's size without faces: labelled people and found ones."""
    picture = read_picture(sample.image)
    still = letterbox(picture, manifest.preprocess)
    if "person" not in manifest.classes:
        return fit_to_leave(still.pixels, np.zeros((0, 4), np.float32))
    person = manifest.classes.index("person")
    height, width = picture.shape[:2]
    scale = np.array([width, height] * 2, np.float32) * np.array(still.scale * 2, np.float32)
    # The dataset numbers its classes in its own order: everything labelled is hidden.
    labelled = sample.boxes * scale + np.array(still.corner_px * 2, np.float32)
    rows = predictor.find(still.pixels[None])[0]
    seen = rows[(rows[:, 4] > 0) & (rows[:, 5] == person), :4]
    return fit_to_leave(still.pixels, np.concatenate([labelled, seen]).astype(np.float32))


def _agreeing(
    manifest: Manifest, path: Path, candidates: list[Candidate], golden: Golden
) -> list[Candidate]:
    """Return the frames on which a build finds what is expected; all for one that cannot run."""
    try:
        predictor = GoldenPredictor(path, manifest)
        found = [predictor.find(one.frame[None]) for one in candidates]
    except (DataError, MissingExtraError):
        # A build for other hardware: nothing to compare with here.
        return candidates
    return [
        one
        for one, rows in zip(candidates, found, strict=True)
        if compare(one.rows[None], rows, golden=golden, score_min=manifest.score_min).agrees
    ]
