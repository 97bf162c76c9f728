"""Tracks from detections: associate every box, also the doubtful ones.

After ByteTrack (Zhang et al., ECCV 2022), in arrays over all tracks. What differs:

- one assignment instead of a cascade of three: overlap times score already prefers a sure box, a
  track that is not confirmed counts for less, and each kind of pair has a gate of its own;
- overlap also weighs the vertical extent (Hybrid-SORT, AAAI 2024), see ``association``;
- motion is filtered in seconds with noise in heights of the box, see ``kalman``;
- a track is confirmed by the sum of its boxes' scores, not by their number: two sure boxes do
  what takes three doubtful ones.

The thresholds of scores are ByteTrack's. The others were chosen on MOT15's six sequences, forward,
backward and at half the rate, in the middle of what differs little; chosen on five of them, the
sixth scores alike (HOTA 42.8, IDF1 57.9 over all).

Tried on MOT15 and left out, as they gained little or nothing here: observation-centric momentum
and recovery (OC-SORT, Cao et al., CVPR 2023), noise scaled by the score (NSA Kalman, Du et al.,
ICCVW 2021), buffered overlap (C-BIoU, Yang et al., WACV 2023), a shift of all tracks by the median
innovation in place of the camera's motion, damped velocity of hidden tracks.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from shopfloor_edge.tracking.association import assign, overlap_matrix
from shopfloor_edge.tracking.kalman import BOX, ROWS, ConstantVelocity, Noise

Boxes = NDArray[np.floating]
Scores = NDArray[np.floating]
F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

# A column of the tracker's table is a track: its motion, then these.
MOTION = slice(0, ROWS)
SEEN_AT, FRAME, EVIDENCE, ID = range(ROWS, ROWS + 4)
"""When it was last seen on the tracker's clock, and in which frame; sum of scores; id."""
NEVER = 2.0
"""A gate that no overlap passes."""


@dataclass(frozen=True, slots=True)
class TrackerSettings:
    """Thresholds; scores and overlaps in [0, 1], times in seconds."""

    score_high: float = 0.6
    """Boxes at least this sure may begin, confirm or find again a track."""
    score_low: float = 0.1
    """Boxes at least this sure may continue a track that was just seen."""
    score_new: float = 0.7
    """Boxes at least this sure begin a track, if they are at least ``score_high``."""
    overlap_high: float = 0.15
    """Least overlap times score of a sure box and a confirmed track."""
    overlap_low: float = 0.4
    """Least overlap of a doubtful box and a confirmed track."""
    overlap_tentative: float = 0.3
    """Least overlap times score of a sure box and a track that is not confirmed."""
    tentative_share: float = 0.7
    """What an overlap with a track that is not confirmed counts beside a confirmed one."""
    evidence: float = 1.4
    """Sum of scores that confirms a track; above 1, or one flicker is a person."""
    keep_lost_s: float = 1.5
    """A track that is not seen for longer is over."""
    noise: Noise = field(default_factory=Noise)


@dataclass(frozen=True, slots=True)
class Tracks:
    """The confirmed tracks seen in one frame."""

    ids: I64
    """``(T,)``, unique over the tracker's life, from 1."""
    boxes: F64
    """``(T, 4)`` filtered xyxy in pixels."""
    scores: F64
    """``(T,)`` score of the box that was matched."""


class ByteTracker:
    """Tracks of one camera.

    Args:
        fps: nominal rate of the frames, above 0. Time comes with each frame; this stands in for
            it where it does not advance.
    """

    def __init__(self, *, fps: float, settings: TrackerSettings | None = None) -> None:
        self._settings = settings or TrackerSettings()
        self._nominal_s = 1.0 / fps
        self._motion = ConstantVelocity(self._settings.noise)
        self._table: F64 = np.zeros((ROWS + 4, 0))
        self._next_id = 1
        self._frame = 0
        self._at_s: float | None = None
        self._clock_s = 0.0

    def update(self, boxes: Boxes, scores: Scores, *, at_s: float) -> Tracks:
        """Take one frame's detections.

        Args:
            boxes: ``(N, 4)`` xyxy in pixels.
            scores: ``(N,)`` in [0, 1].
            at_s: when the frame was taken. One that does not lie after its predecessor counts as
                one nominal frame later: a camera's clock may be set back.
        """
        evidence = self._settings.evidence
        found, weights = self._worth_tracking(boxes, scores)
        self._advance(at_s)
        if not len(weights) and not self._table.shape[1]:
            return Tracks(np.zeros(0, np.int64), np.zeros((0, 4)), np.zeros(0))
        rows, columns = self._associate(found, weights)
        seen = self._continue(rows, found[:, columns], weights[columns])
        fresh = (weights >= self._settings.score_high) & (weights >= self._settings.score_new)
        fresh[columns] = False
        self._drop((self._table[FRAME] < self._frame) & (self._table[EVIDENCE] < evidence))
        shown = weights[columns]
        if fresh.any():
            begun = self._begin(found[:, fresh], weights[fresh])
            seen, shown = np.concatenate([seen, begun], axis=1), np.append(shown, weights[fresh])
        visible = seen[EVIDENCE] >= evidence
        return Tracks(seen[ID, visible].astype(np.int64), seen[BOX, visible].T, shown[visible])

    def _worth_tracking(self, boxes: Boxes, scores: Scores) -> tuple[F64, F64]:
        """Return boxes as ``(4, N)`` and their scores, without those that are hardly sure."""
        weights = np.asarray(scores, np.float64)
        found = np.array(np.reshape(boxes, (-1, 4)).T, np.float64, order="C")
        if weights.size and weights.min() < self._settings.score_low:
            enough = weights >= self._settings.score_low
            return found[:, enough], weights[enough]
        return found, weights

    def _advance(self, at_s: float) -> None:
        step_s = self._nominal_s if self._at_s is None else at_s - self._at_s
        if step_s <= 0:
            step_s = self._nominal_s
        self._at_s = at_s
        self._clock_s += step_s
        self._frame += 1
        if not self._table.shape[1]:
            return
        self._drop(self._table[SEEN_AT] < self._clock_s - self._settings.keep_lost_s)
        self._motion.predict(self._table[MOTION], step_s)

    def _drop(self, gone: NDArray[np.bool_]) -> None:
        if gone.any():
            self._table = self._table[:, ~gone]

    def _associate(self, found: F64, weights: F64) -> tuple[I64, I64]:
        """Return the tracks that go on and the boxes that they go on with."""
        table, settings = self._table, self._settings
        if table.shape[1] == 0 or len(weights) == 0:
            none = np.zeros(0, np.int64)
            return none, none
        value = overlap_matrix(table[BOX], found)
        value *= weights
        confirmed = table[EVIDENCE] >= settings.evidence
        gate = np.where(confirmed, settings.overlap_high, settings.overlap_tentative)[:, None]
        if weights.min() < settings.score_high:
            # A doubtful box may continue only a track seen a moment ago, not revive a lost one;
            # its own score does not count against it.
            recent = confirmed & (table[FRAME] == self._frame - 1)
            doubtful = np.where(recent, settings.overlap_low, NEVER)[:, None] * weights
            gate = np.where(weights >= settings.score_high, gate, doubtful)
        allowed = value >= gate
        if not confirmed.all():
            value *= np.where(confirmed, 1.0, settings.tentative_share)[:, None]
        return assign(value, allowed)

    def _continue(self, rows: I64, boxes: F64, weights: F64) -> F64:
        """Take in what was matched; return the columns of the matched tracks."""
        seen = self._table[:, rows]
        if len(rows) == 0:
            return seen
        self._motion.correct(seen[MOTION], boxes)
        seen[FRAME] = self._frame
        seen[EVIDENCE] += weights
        seen[SEEN_AT] = self._clock_s
        self._table[:, rows] = seen
        return seen

    def _begin(self, boxes: F64, weights: F64) -> F64:
        """Add tracks; return their columns."""
        settings, count = self._settings, boxes.shape[1]
        begun = np.zeros((len(self._table), count))
        self._motion.begin(begun[MOTION], boxes)
        # Who is there in the first frame did not flicker up: nobody is missed at the start.
        first = self._frame == 1
        begun[SEEN_AT] = self._clock_s
        begun[FRAME] = self._frame
        begun[EVIDENCE] = settings.evidence if first else weights
        begun[ID] = np.arange(self._next_id, self._next_id + count)
        self._next_id += count
        self._table = np.concatenate([self._table, begun], axis=1)
        return begun
