"""ByteTrack in NumPy: associate every box, also the doubtful ones (Zhang et al., ECCV 2022).

The Kalman filter's four coordinates (centre x, centre y, aspect, height) do not interact, so
each is a filter of position and velocity of its own and all tracks advance in a few array
operations.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from shopfloor_edge.tracking.boxes import Boxes, Scores, iou_matrix

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class TrackerSettings:
    """Thresholds; scores in [0, 1], times in seconds."""

    score_high: float = 0.5
    """Boxes at least this sure are matched first."""
    score_low: float = 0.1
    """Boxes at least this sure may continue a track, never begin one."""
    score_new: float = 0.6
    """Boxes at least this sure begin a track."""
    iou_first: float = 0.2
    iou_second: float = 0.5
    iou_tentative: float = 0.3
    keep_lost_s: float = 1.0
    """A track that is not seen for longer is over."""


@dataclass(frozen=True, slots=True)
class Tracks:
    """The confirmed tracks seen in one frame."""

    ids: I64
    """``(T,)``, unique over the tracker's life, from 1."""
    boxes: F64
    """``(T, 4)`` filtered xyxy in pixels."""
    scores: F64
    """``(T,)`` score of the box that was matched."""


@dataclass(slots=True)
class _State:
    """Every living track, one row each."""

    ids: I64 = field(default_factory=lambda: np.zeros(0, np.int64))
    mean: F64 = field(default_factory=lambda: np.zeros((0, 4)))
    velocity: F64 = field(default_factory=lambda: np.zeros((0, 4)))
    cov: F64 = field(default_factory=lambda: np.zeros((0, 4, 3)))
    """Variance of position, covariance, variance of velocity, per coordinate."""
    seen_at_s: F64 = field(default_factory=lambda: np.zeros(0))
    scores: F64 = field(default_factory=lambda: np.zeros(0))
    confirmed: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, np.bool_))

    def keep(self, rows: NDArray[np.bool_]) -> None:
        for name in self.__slots__:
            setattr(self, name, getattr(self, name)[rows])

    def append(self, other: _State) -> None:
        for name in self.__slots__:
            setattr(self, name, np.concatenate([getattr(self, name), getattr(other, name)]))


class ByteTracker:
    """Tracks of one camera.

    Args:
        fps: nominal rate of the frames; noise is per nominal frame, so a gap of two frames is
            a step of two.
    """

    def __init__(self, *, fps: float, settings: TrackerSettings | None = None) -> None:
        self._settings = settings or TrackerSettings()
        self._fps = fps
        self._state = _State()
        self._next_id = 1
        self._at_s: float | None = None

    def update(self, boxes: Boxes, scores: Scores, *, at_s: float) -> Tracks:
        """Take one frame's detections.

        Args:
            boxes: ``(N, 4)`` xyxy in pixels.
            scores: ``(N,)`` in [0, 1].
            at_s: when the frame was taken; must not go back.
        """
        first_frame = self._at_s is None
        elapsed_s = 0.0 if self._at_s is None else max(0.0, at_s - self._at_s)
        self._at_s = at_s
        self._predict(max(elapsed_s * self._fps, 1e-3))
        found_boxes: F64 = np.asarray(boxes, np.float64).reshape(-1, 4)
        found_scores: F64 = np.asarray(scores, np.float64)
        new = self._associate(found_boxes, found_scores, at_s, at_s - elapsed_s)
        self._begin(found_boxes[new], found_scores[new], at_s, confirmed=first_frame)
        return self._visible(at_s)

    def _associate(self, boxes: F64, scores: F64, at_s: float, before_s: float) -> I64:
        """Continue the living tracks; return the boxes that begin new ones.

        ``before_s`` is when the frame before was taken.
        """
        settings, state = self._settings, self._state
        high = np.flatnonzero(scores >= settings.score_high)
        low = np.flatnonzero((scores >= settings.score_low) & (scores < settings.score_high))
        confirmed = np.flatnonzero(state.confirmed)
        tentative = np.flatnonzero(~state.confirmed)

        # A sure box wins over a doubtful one at equal overlap; the second round is overlap alone.
        rows, found, rest, high = self._match(confirmed, high, boxes, scores, settings.iou_first)
        # A doubtful box may continue only a track seen a moment ago, not revive a lost one.
        rest = rest[state.seen_at_s[rest] >= before_s - 1e-9]
        rows2, found2, _, _ = self._match(
            rest, low, boxes, np.ones_like(scores), settings.iou_second
        )
        rows3, found3, unmet, high = self._match(
            tentative, high, boxes, scores, settings.iou_tentative
        )
        rows = np.concatenate([rows, rows2, rows3])
        found = np.concatenate([found, found2, found3])
        self._correct(rows, boxes[found], scores[found], at_s)
        state.confirmed[rows] = True
        alive = at_s - state.seen_at_s <= settings.keep_lost_s
        alive[unmet] = False
        state.keep(alive)
        return high[scores[high] >= settings.score_new]

    def _match(
        self, tracks: I64, candidates: I64, boxes: F64, weights: F64, value_min: float
    ) -> tuple[I64, I64, I64, I64]:
        """Return matched rows and boxes, then the rows and the boxes left over.

        Maximises the sum of overlap times weight; a pair below ``value_min`` is none.
        """
        if len(tracks) == 0 or len(candidates) == 0:
            none = np.zeros(0, np.int64)
            return none, none, tracks, candidates
        iou = iou_matrix(_xyxy(self._state.mean[tracks]), boxes[candidates])
        value = iou * weights[candidates]
        left, right = linear_sum_assignment(value, maximize=True)
        good = value[left, right] >= value_min
        left, right = left[good], right[good]
        return (
            tracks[left],
            candidates[right],
            np.delete(tracks, left),
            np.delete(candidates, right),
        )

    def _predict(self, steps: float) -> None:
        state = self._state
        if len(state.ids) == 0:
            return
        state.mean = state.mean + steps * state.velocity
        state.mean[:, 3] = np.maximum(state.mean[:, 3], 1.0)
        pp, pv, vv = state.cov[..., 0], state.cov[..., 1], state.cov[..., 2]
        q_pos, q_vel = _process_noise(state.mean[:, 3])
        state.cov = np.stack(
            [
                pp + 2 * steps * pv + steps**2 * vv + q_pos * steps,
                pv + steps * vv,
                vv + q_vel * steps,
            ],
            axis=-1,
        )

    def _correct(self, rows: I64, boxes: F64, scores: F64, at_s: float) -> None:
        state = self._state
        measured = _xyah(boxes)
        cov = state.cov[rows]
        pp, pv, vv = cov[..., 0], cov[..., 1], cov[..., 2]
        total = pp + _measurement_noise(state.mean[rows, 3])
        innovation = measured - state.mean[rows]
        state.mean[rows] += pp / total * innovation
        state.velocity[rows] += pv / total * innovation
        gain = pp / total
        state.cov[rows] = np.stack(
            [(1 - gain) * pp, (1 - gain) * pv, vv - pv * pv / total], axis=-1
        )
        state.seen_at_s[rows] = at_s
        state.scores[rows] = scores

    def _begin(self, boxes: F64, scores: F64, at_s: float, *, confirmed: bool) -> None:
        count = len(boxes)
        mean = _xyah(boxes)
        height = mean[:, 3]
        pos = np.stack([height / 10, height / 10, np.full(count, 1e-2), height / 10], axis=1)
        vel = np.stack([height / 16, height / 16, np.full(count, 1e-5), height / 16], axis=1)
        self._state.append(
            _State(
                ids=np.arange(self._next_id, self._next_id + count, dtype=np.int64),
                mean=mean,
                velocity=np.zeros((count, 4)),
                cov=np.stack([pos**2, np.zeros((count, 4)), vel**2], axis=-1),
                seen_at_s=np.full(count, at_s),
                scores=scores,
                confirmed=np.full(count, confirmed),
            )
        )
        self._next_id += count

    def _visible(self, at_s: float) -> Tracks:
        state = self._state
        seen = state.confirmed & (state.seen_at_s == at_s)
        return Tracks(state.ids[seen], _xyxy(state.mean[seen]), state.scores[seen])


def _process_noise(height: F64) -> tuple[F64, F64]:
    pos = np.stack([height / 20, height / 20, np.full(len(height), 1e-2), height / 20], axis=1)
    vel = np.stack([height / 160, height / 160, np.full(len(height), 1e-5), height / 160], axis=1)
    return pos**2, vel**2


def _measurement_noise(height: F64) -> F64:
    std = np.stack([height / 20, height / 20, np.full(len(height), 1e-1), height / 20], axis=1)
    return std**2


def _xyah(boxes: F64) -> F64:
    width, height = boxes[:, 2] - boxes[:, 0], np.maximum(boxes[:, 3] - boxes[:, 1], 1e-6)
    return np.stack(
        [boxes[:, 0] + width / 2, boxes[:, 1] + height / 2, width / height, height], axis=1
    )


def _xyxy(mean: F64) -> F64:
    half_h = mean[:, 3] / 2
    half_w = mean[:, 2] * half_h
    return np.stack(
        [mean[:, 0] - half_w, mean[:, 1] - half_h, mean[:, 0] + half_w, mean[:, 1] + half_h],
        axis=1,
    )
