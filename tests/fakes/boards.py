"""Drawn circuit boards, good and with a defect of a chosen kind at a known place."""

from __future__ import annotations

from enum import StrEnum

import cv2
import numpy as np

SIZE = 320
BARE, COPPER = 20, 220
PITCH, TRACE = 24, 10


class Kind(StrEnum):
    OPEN = "open"
    SHORT = "short"
    MOUSEBITE = "mousebite"
    SPUR = "spur"
    COPPER = "copper"
    PIN_HOLE = "pin-hole"


def board(seed: int = 1) -> np.ndarray:
    """Traces down the left, across the right, and pads; no two boards are alike."""
    random = np.random.default_rng(seed)
    picture = np.full((SIZE, SIZE), BARE, np.uint8)
    for x in range(PITCH, SIZE - 5 * PITCH, PITCH):
        top, bottom = random.integers(16, 60), random.integers(SIZE - 60, SIZE - 16)
        picture[top:bottom, x : x + TRACE] = COPPER
        for end in (top, bottom):
            if random.random() < 0.6:
                cv2.circle(picture, (x + TRACE // 2, int(end)), 9, COPPER, cv2.FILLED)
        if random.random() < 0.4:
            y = int(random.integers(80, SIZE - 80))
            picture[y : y + PITCH, x - 2 : x + TRACE + 2] = BARE
    for y in range(PITCH, SIZE // 2, PITCH):
        picture[y : y + TRACE, SIZE - 4 * PITCH : SIZE - int(random.integers(16, 60))] = COPPER
    cv2.rectangle(picture, (40, 30), (110, 70), COPPER, cv2.FILLED)
    cv2.circle(picture, (SIZE - 50, SIZE - 50), 22, COPPER, cv2.FILLED)
    return picture


def noisy(picture: np.ndarray, seed: int = 2) -> np.ndarray:
    """As a camera gives it: soft edges and noise."""
    soft = cv2.GaussianBlur(picture, (0, 0), 0.7).astype(np.float32)
    return np.clip(soft + np.random.default_rng(seed).normal(0, 4, soft.shape), 0, 255).astype(
        np.uint8
    )


def moved(picture: np.ndarray, dx: int, dy: int) -> np.ndarray:
    """Moved right and down over bare ground."""
    move = np.array([[1, 0, dx], [0, 1, dy]], np.float32)
    return cv2.warpAffine(picture, move, picture.shape[::-1], borderValue=BARE)


def trace_at(picture: np.ndarray) -> tuple[int, int]:
    """A place in the middle of a straight piece of trace with bare ground on both sides."""
    half = TRACE // 2
    for x in range(PITCH * 3, SIZE - PITCH * 3, PITCH):
        for y in range(110, SIZE - 110, 10):
            around = picture[y - 16 : y + 16]
            has_trace = (around[:, x : x + TRACE] == COPPER).all()
            bare = (around[:, x - 10 : x] == BARE).all()
            bare = bare and (around[:, x + TRACE : x + PITCH] == BARE).all()
            beside = (around[:, x + PITCH : x + PITCH + TRACE] == COPPER).all()
            if has_trace and bare and beside:
                return x + half, y
    raise AssertionError("this board has no straight trace beside another")


def with_defect(picture: np.ndarray, kind: Kind) -> tuple[np.ndarray, tuple[int, int]]:
    """Return the board with one defect, and the defect's middle."""
    x, y = trace_at(picture)
    half, bad = TRACE // 2, picture.copy()
    if kind is Kind.OPEN:
        bad[y - 4 : y + 5, x - half : x + half] = BARE
    elif kind is Kind.SHORT:
        bad[y - 3 : y + 4, x : x + PITCH] = COPPER
        x += PITCH // 2
    elif kind is Kind.MOUSEBITE:
        x -= half
        cv2.circle(bad, (x, y), 6, BARE, cv2.FILLED)
    elif kind is Kind.SPUR:
        x += half + 4
        bad[y - 3 : y + 4, x - 5 : x + 4] = COPPER
    elif kind is Kind.COPPER:
        x, y = _bare_at(picture)
        cv2.circle(bad, (x, y), 5, COPPER, cv2.FILLED)
    else:
        x, y = 75, 50
        cv2.circle(bad, (x, y), 4, BARE, cv2.FILLED)
    return bad, (x, y)


def _bare_at(picture: np.ndarray) -> tuple[int, int]:
    for y in range(80, SIZE - 80, 4):
        for x in range(40, SIZE - 40, 4):
            if (picture[y - 12 : y + 13, x - 12 : x + 13] == BARE).all():
                return x, y
    raise AssertionError("this board has no bare place")
