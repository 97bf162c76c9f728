"""Printed circuit boards, drawn: pads, tracks and holes, and six kinds of defects on them.

Copper is dark on a light board, as in the DeepPCB photographs. Nothing is read from elsewhere, so
that a fresh machine has boards to inspect.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

SIZE_PX = 640
GRID_PX = 40
BARE, COPPER = 255, 0
MARGIN_PX = 24
Picture = NDArray[np.uint8]
Point = tuple[int, int]
DEFECTS = ("open", "short", "mousebite", "spur", "copper", "pin-hole")


@dataclass(frozen=True, slots=True)
class Board:
    """A good board, and where its tracks run."""

    picture: Picture
    """``(640, 640)`` grey."""
    tracks: tuple[tuple[Point, Point, int], ...]
    """Straight pieces: begin, end, width in pixels."""


def draw_board(seed: int) -> Board:
    """Return the board of that number; the same number draws the same board."""
    rng = np.random.default_rng(seed)
    picture: Picture = np.full((SIZE_PX, SIZE_PX), BARE, np.uint8)
    tracks: list[tuple[Point, Point, int]] = []
    for row in range(1, SIZE_PX // GRID_PX - 1, 2):
        _draw_row(picture, tracks, rng, row * GRID_PX + GRID_PX // 2)
    for _ in range(5):
        x, y = (int(v) * GRID_PX for v in rng.integers(2, SIZE_PX // GRID_PX - 2, 2))
        cv2.circle(picture, (x, y), 15, COPPER, -1)
        cv2.circle(picture, (x, y), 6, BARE, -1)
    return Board(picture, tuple(tracks))


def spoil(board: Board, rng: np.random.Generator, count: int) -> tuple[Picture, list[str]]:
    """Return the board with ``count`` defects at different places, and their kinds."""
    picture = board.picture.copy()
    longest = sorted(board.tracks, key=_length, reverse=True)
    count = min(count, len(longest))
    kinds = [str(kind) for kind in rng.choice(DEFECTS, count)]
    for kind, number in zip(kinds, rng.permutation(len(longest))[:count], strict=True):
        _spoil_track(picture, longest[int(number)], kind, rng)
    return picture, kinds


def as_seen(picture: Picture, rng: np.random.Generator) -> Picture:
    """Return the picture as a camera over a conveyor sees it: moved, unevenly lit, with noise."""
    dx, dy = (int(v) for v in rng.integers(-3, 4, 2))
    move = np.array([[1, 0, dx], [0, 1, dy]], np.float32)
    moved = cv2.warpAffine(picture, move, (SIZE_PX, SIZE_PX), borderMode=cv2.BORDER_REPLICATE)
    seen = 18.0 + moved.astype(np.float32) * float(rng.uniform(0.82, 0.86))
    cv2.GaussianBlur(seen, (3, 3), 0, dst=seen)
    seen += rng.normal(0, 4, seen.shape).astype(np.float32)
    picture_seen: Picture = np.clip(seen, 0, 255).astype(np.uint8)
    return picture_seen


def _draw_row(
    picture: Picture, tracks: list[tuple[Point, Point, int]], rng: np.random.Generator, y: int
) -> None:
    """Draw pads along a row, and tracks between those that are neighbours."""
    columns = np.sort(rng.choice(np.arange(1, SIZE_PX // GRID_PX - 1), 5, replace=False))
    points = [(int(c) * GRID_PX, y + int(rng.integers(-1, 2)) * GRID_PX // 4) for c in columns]
    for a, b in pairwise(points):
        width = int(rng.choice([8, 12]))
        corner = (b[0] - abs(b[1] - a[1]), a[1])
        cv2.line(picture, a, corner, COPPER, width)
        cv2.line(picture, corner, b, COPPER, width)
        if _length((a, corner, width)) >= GRID_PX:
            tracks.append((a, corner, width))
    for x, y_pad in points:
        if rng.random() < 0.6:
            cv2.circle(picture, (x, y_pad), 14, COPPER, -1)
            cv2.circle(picture, (x, y_pad), 5, BARE, -1)
        else:
            cv2.rectangle(picture, (x - 12, y_pad - 10), (x + 12, y_pad + 10), COPPER, -1)


def _length(track: tuple[Point, Point, int]) -> float:
    (ax, ay), (bx, by), _ = track
    return float(np.hypot(bx - ax, by - ay))


def _spoil_track(
    picture: Picture, track: tuple[Point, Point, int], kind: str, rng: np.random.Generator
) -> None:
    (ax, ay), (bx, by), width = track
    share = float(rng.uniform(0.45, 0.55))
    x, y = round(ax + share * (bx - ax)), round(ay + share * (by - ay))
    half = width // 2
    if kind == "open":
        cv2.rectangle(picture, (x - 6, y - half - 2), (x + 6, y + half + 2), BARE, -1)
    elif kind == "short":
        cv2.line(picture, (x, y), (x + int(rng.integers(-8, 9)), y + 2 * GRID_PX), COPPER, 6)
    elif kind == "mousebite":
        cv2.circle(picture, (x, y - half), 6, BARE, -1)
    elif kind == "spur":
        cv2.line(picture, (x, y), (x + 5, y - half - 14), COPPER, 7)
    elif kind == "copper":
        spot = (min(SIZE_PX - MARGIN_PX, x + 6), min(SIZE_PX - MARGIN_PX, y + GRID_PX // 2 + 4))
        cv2.ellipse(picture, (spot, (16, 11), 30.0), COPPER, -1)
    else:
        cv2.circle(picture, (x, y), max(4, half - 1), BARE, -1)
