"""Labels for footage that has none, by teachers: what they are sure of, and nothing else.

Between sure and nothing lies a band of boxes that may be right. A student must learn neither that
something is there nor that it isn't, so their pixels are painted over in the student's picture.
Where frames of a video follow each other closely, neighbours may have a say too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from shopfloor_models.data.formats import slug, yolo_text
from shopfloor_models.data.samples import Sample
from shopfloor_models.errors import DataError
from shopfloor_models.export.letterbox import Pixels, read_picture
from shopfloor_models.files import write_whole
from shopfloor_models.training.consistency import FrameBoxes, TrackRules, iou_matrix, steady
from shopfloor_models.training.teacher import Found, Teacher

PAINT = 114
"""The grey of the letterbox, which the network knows as nothing."""
MAX_STEP_MS = 200
"""Frames further apart are no neighbours: half a second cost vtest.avi a quarter of its labels."""
_FRAME = re.compile(r"(?P<video>.+)_(?P<ms>[0-9]{8})")
"""As ``data.video`` names the frames that it takes."""


@dataclass(frozen=True, slots=True)
class Bands:
    """Which score means what."""

    sure: float = 0.45
    ignore: float = 0.15
    """From here to ``sure``, nobody knows; below, nothing is there."""
    agree_iou: float = 0.5
    """Two teachers mean the same thing from this overlap."""
    tracks: TrackRules | None = None
    """How neighbouring frames of a video are heard; None looks at each frame alone."""

    def __post_init__(self) -> None:
        if not 0 < self.ignore <= self.sure <= 1:
            raise DataError(
                f"bands are {self.ignore:g} and {self.sure:g}, expected 0 < ignore ≤ sure ≤ 1"
            )


@dataclass(frozen=True, slots=True)
class Judged:
    """A picture's boxes after all teachers have spoken; xyxy in pixels."""

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    classes: NDArray[np.int64]
    unsure: NDArray[np.float32]
    unsure_scores: NDArray[np.float32]
    unsure_classes: NDArray[np.int64]


def judge(seen: Sequence[Found], classes: Sequence[str], bands: Bands) -> Judged:
    """Join what one or two teachers saw on one picture.

    A box is sure if every teacher has it and the mean of their scores is; what only one of two
    has, or what is less, is unsure.
    """
    first, *others = [_wanted(found, classes, bands.ignore) for found in seen]
    scores, agreed = first.scores.copy(), np.ones(len(first.boxes), bool)
    lonely = []
    for other in others:
        same = np.array([[a == b for b in other.names] for a in first.names], bool)
        overlap = iou_matrix(first.boxes, other.boxes) * same.reshape(
            len(first.boxes), len(other.boxes)
        )
        partner = overlap >= bands.agree_iou
        agreed &= partner.any(axis=1)
        best = np.where(partner, other.scores[None], 0).max(axis=1, initial=0)
        scores = (scores + best) / 2
        lonely.append(_rows(other, ~partner.any(axis=0)))
    sure = agreed & (scores >= bands.sure)
    joined = Found(first.boxes, scores, first.names)
    rest = [_rows(joined, ~sure), *lonely]
    return Judged(
        first.boxes[sure],
        scores[sure],
        _numbers(_rows(joined, sure), classes),
        np.concatenate([found.boxes for found in rest]).reshape(-1, 4),
        np.concatenate([found.scores for found in rest]),
        np.concatenate([_numbers(found, classes) for found in rest]),
    )


def hear_neighbours(
    pictures: Sequence[Path], judged: Sequence[Judged], bands: Bands
) -> list[Judged]:
    """Let neighbouring frames of a video, which ``pictures`` names in order, correct each other."""
    if bands.tracks is None:
        return list(judged)
    heard: list[FrameBoxes] = []
    for run in neighbours(pictures):
        frames = judged[len(heard) : len(heard) + len(run)]
        heard += steady([_merged(one) for one in frames], bands.tracks)
    return [_parted(frame) for frame in heard]


def neighbours(pictures: Sequence[Path]) -> list[list[Path]]:
    """Split pictures into runs of one video's frames, at most ``MAX_STEP_MS`` apart by name."""
    runs: list[list[Path]] = []
    for picture in pictures:
        last = _FRAME.fullmatch(runs[-1][-1].stem) if runs else None
        this = _FRAME.fullmatch(picture.stem)
        if last is None or this is None or last["video"] != this["video"]:
            runs.append([picture])
        elif 0 < int(this["ms"]) - int(last["ms"]) <= MAX_STEP_MS:
            runs[-1].append(picture)
        else:
            runs.append([picture])
    return runs


def label(
    pictures: Sequence[Path],
    teachers: Sequence[Teacher],
    classes: Sequence[str],
    *,
    out: Path,
    bands: Bands,
    tell: Callable[[int], None] = lambda _done: None,
) -> list[Sample]:
    """Write ``images/`` and YOLO ``labels/`` below ``out``; pictures that show nothing stay in.

    Raises:
        DataError: there is no picture, one cannot be read, or the disk is full.
    """
    if not pictures:
        raise DataError("0 pictures to label")
    (out / "images").mkdir(parents=True, exist_ok=True)
    (out / "labels").mkdir(exist_ok=True)
    seen = []
    for done, path in enumerate(pictures, start=1):
        picture = read_picture(path)
        seen.append(judge([teacher.look(picture) for teacher in teachers], classes, bands))
        tell(done)
    samples = []
    for path, judged in zip(pictures, hear_neighbours(pictures, seen, bands), strict=True):
        picture = read_picture(path)
        image = out / "images" / f"{path.stem}.png"
        # imwrite would say nothing of a full disk.
        coded = cv2.imencode(".png", paint(picture, judged), [cv2.IMWRITE_PNG_COMPRESSION, 1])[1]
        write_whole(image, coded.tobytes())
        height, width = picture.shape[:2]
        boxes = (judged.boxes / np.array([width, height] * 2, np.float32)).astype(np.float32)
        text = yolo_text(boxes, judged.classes, judged.scores)
        write_whole(out / "labels" / f"{path.stem}.txt", text.encode())
        samples.append(
            Sample(image, boxes, judged.classes, "footage", "own-footage", judged.scores)
        )
    return samples


def write_dataset(out: Path, classes: Sequence[str], *, labelled_by: str) -> None:
    """Write ``dataset.toml`` beside what ``label`` wrote.

    All of it is for training: labels that a teacher drew judge nobody.
    """
    lines = [
        f"name = {json.dumps(slug(out.resolve().name))}",
        'version = "1"',
        f"classes = {json.dumps(list(classes))}",
        "quality = { near_duplicate_bits = 0 }",
        "",
        "[[sources]]",
        'name = "footage"',
        'images = "images"',
        'labels = "labels"',
        'licence_class = "own-footage"',
        f"labelled_by = {json.dumps(labelled_by)}",
        'split = "train"',
    ]
    write_whole(out / "dataset.toml", ("\n".join(lines) + "\n").encode())


def paint(picture: Pixels, judged: Judged) -> Pixels:
    """Return the picture with unsure boxes in grey, sure ones untouched."""
    painted = picture.copy()
    for x1, y1, x2, y2 in _whole(judged.unsure):
        painted[y1:y2, x1:x2] = PAINT
    for x1, y1, x2, y2 in _whole(judged.boxes):
        painted[y1:y2, x1:x2] = picture[y1:y2, x1:x2]
    return painted


def _whole(boxes: NDArray[np.float32]) -> list[list[int]]:
    out = np.concatenate([np.floor(boxes[:, :2]), np.ceil(boxes[:, 2:])], axis=1)
    corners: list[list[int]] = out.clip(0).astype(int).tolist()
    return corners


def _wanted(found: Found, classes: Sequence[str], score_min: float) -> Found:
    keep = [
        number
        for number, name in enumerate(found.names)
        if name in classes and found.scores[number] >= score_min
    ]
    return Found(
        found.boxes[keep].reshape(-1, 4),
        found.scores[keep],
        tuple(found.names[number] for number in keep),
    )


def _rows(found: Found, keep: NDArray[np.bool_]) -> Found:
    rows = np.flatnonzero(keep)
    return Found(found.boxes[rows], found.scores[rows], tuple(found.names[row] for row in rows))


def _numbers(found: Found, classes: Sequence[str]) -> NDArray[np.int64]:
    return np.array([classes.index(name) for name in found.names], np.int64)


def _merged(judged: Judged) -> FrameBoxes:
    return FrameBoxes(
        np.concatenate([judged.boxes, judged.unsure]),
        np.concatenate([judged.scores, judged.unsure_scores]),
        np.concatenate([judged.classes, judged.unsure_classes]),
        np.arange(len(judged.boxes) + len(judged.unsure)) < len(judged.boxes),
    )


def _parted(frame: FrameBoxes) -> Judged:
    sure, unsure = frame.sure, ~frame.sure
    return Judged(
        frame.boxes[sure],
        frame.scores[sure],
        frame.classes[sure],
        frame.boxes[unsure],
        frame.scores[unsure],
        frame.classes[unsure],
    )
