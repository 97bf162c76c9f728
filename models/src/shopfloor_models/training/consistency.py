"""Labels that agree with their neighbours in time. Pure NumPy; knows no teacher and no file.

Between frames that follow each other closely, things neither come nor go within one frame. A box
that is unsure alone but lies on a track with sure boxes before and after is a label; a sure box
that no neighbouring frame has is a flicker, and unsure; where a track has a hole, something may be
there that nobody saw, which is unsure too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class TrackRules:
    """When two boxes are the same thing, and how far a box's word carries."""

    iou_min: float = 0.3
    """SORT's threshold (Bewley et al., 2016)."""
    reach: int = 3
    """Frames over which a track may be unseen, and within which a sure box supports another."""


@dataclass(frozen=True, slots=True)
class FrameBoxes:
    """What was seen on one frame, sure and unsure alike."""

    boxes: Floats
    """``(N, 4)`` xyxy in pixels."""
    scores: Floats
    classes: NDArray[np.int64]
    sure: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Seen:
    """One box of a track."""

    frame: int
    row: int


def steady(frames: Sequence[FrameBoxes], rules: TrackRules) -> list[FrameBoxes]:
    """Return one video's frames, in order, after each track has had its say.

    Rows keep their places. Boxes in the holes of tracks are appended as unsure, score 0. A frame
    alone is returned as it is.
    """
    if len(frames) < 2:
        return list(frames)
    out = [replace(f, sure=f.sure.copy(), scores=f.scores.copy()) for f in frames]
    holes: list[list[tuple[Floats, int]]] = [[] for _ in frames]
    for track in link(frames, rules):
        if len(track) == 1:
            out[track[0].frame].sure[track[0].row] = False
            continue
        _support(track, frames, out, rules)
        for seen, box in _holes(track, out):
            holes[seen].append((box, int(frames[track[0].frame].classes[track[0].row])))
    return [_with(frame, added) for frame, added in zip(out, holes, strict=True)]


def link(frames: Sequence[FrameBoxes], rules: TrackRules) -> list[list[Seen]]:
    """Join boxes of one class to tracks, greedily by overlap with where a track should be."""
    tracks: list[list[Seen]] = []
    for number, frame in enumerate(frames):
        active = [t for t in tracks if number - t[-1].frame <= rules.reach]
        overlap = iou_matrix(_expected(active, frames, number), frame.boxes)
        kinds = np.array([frames[t[-1].frame].classes[t[-1].row] for t in active], np.int64)
        overlap[kinds[:, None] != frame.classes[None]] = 0.0
        free = np.ones(len(frame.boxes), bool)
        while overlap.size and overlap.max() >= rules.iou_min:
            place, row = np.unravel_index(int(overlap.argmax()), overlap.shape)
            active[int(place)].append(Seen(number, int(row)))
            free[row] = False
            overlap[place], overlap[:, row] = 0.0, 0.0
        tracks += [[Seen(number, int(row))] for row in np.flatnonzero(free)]
    return tracks


def iou_matrix(a: Floats, b: Floats) -> Floats:
    """Return the overlap of each of ``(N, 4)`` with each of ``(M, 4)``; empty boxes have none."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=2)
    areas = [(boxes[:, 2:] - boxes[:, :2]).prod(axis=1) for boxes in (a, b)]
    union = areas[0][:, None] + areas[1][None] - shared
    return np.asarray(shared / np.maximum(union, 1e-9), np.float32)


def _expected(active: list[list[Seen]], frames: Sequence[FrameBoxes], number: int) -> Floats:
    """Return where each track would be now, had it gone on as between its last two boxes."""
    boxes = np.zeros((len(active), 4), np.float32)
    for place, track in enumerate(active):
        last = frames[track[-1].frame].boxes[track[-1].row]
        boxes[place] = last
        if len(track) > 1:
            before = frames[track[-2].frame].boxes[track[-2].row]
            share = (number - track[-1].frame) / (track[-1].frame - track[-2].frame)
            # Centres only: a box that is cut off for a moment does not go on shrinking.
            moved = (last[:2] + last[2:] - before[:2] - before[2:]) / 2 * share
            boxes[place] += np.concatenate([moved, moved])
    return boxes


def _support(
    track: list[Seen], frames: Sequence[FrameBoxes], out: list[FrameBoxes], rules: TrackRules
) -> None:
    """Make unsure boxes between sure ones labels, as sure as these are at that time."""
    sure = [seen for seen in track if frames[seen.frame].sure[seen.row]]
    for seen in track:
        if frames[seen.frame].sure[seen.row]:
            continue
        before = [s for s in sure if 0 < seen.frame - s.frame <= rules.reach]
        after = [s for s in sure if 0 < s.frame - seen.frame <= rules.reach]
        if before and after:
            pair = before[-1], after[0]
            scores = [frames[s.frame].scores[s.row] for s in pair]
            times = [s.frame for s in pair]
            out[seen.frame].sure[seen.row] = True
            out[seen.frame].scores[seen.row] = np.interp(seen.frame, times, scores)


def _holes(track: list[Seen], out: list[FrameBoxes]) -> list[tuple[int, Floats]]:
    """Return frame and interpolated box wherever a track was unseen between two labels."""
    found = []
    for before, after in pairwise(track):
        ends = [out[s.frame].boxes[s.row] for s in (before, after)]
        if all(out[s.frame].sure[s.row] for s in (before, after)):
            for number in range(before.frame + 1, after.frame):
                share = (number - before.frame) / (after.frame - before.frame)
                box = ends[0] + (ends[1] - ends[0]) * np.float32(share)
                found.append((number, box.astype(np.float32)))
    return found


def _with(frame: FrameBoxes, added: list[tuple[Floats, int]]) -> FrameBoxes:
    if not added:
        return frame
    boxes = np.stack([box for box, _ in added])
    kinds = np.array([kind for _, kind in added], np.int64)
    return FrameBoxes(
        np.concatenate([frame.boxes, boxes]),
        np.concatenate([frame.scores, np.zeros(len(added), np.float32)]),
        np.concatenate([frame.classes, kinds]),
        np.concatenate([frame.sure, np.zeros(len(added), bool)]),
    )
