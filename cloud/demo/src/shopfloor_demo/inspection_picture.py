"""The run as a picture: the chart with its two limits, and the worst parts below."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from shopfloor_demo.conveyor import Line, Seen
from shopfloor_demo.parts_supply import BURST_AT
from shopfloor_edge.inspection.evidence import EvidenceStore

Canvas = NDArray[np.uint8]
Colour = tuple[int, int, int]
WIDTH, HEIGHT = 1400, 900
LEFT, RIGHT, TOP, BOTTOM = 90, 1350, 120, 500
WORST = 5
TILE_PX = 240
_INK, _GREY, _PALE = (45, 40, 38), (140, 135, 130), (232, 230, 228)
_BLUE, _AMBER, _RED = (170, 110, 40), (20, 150, 230), (50, 50, 215)


@dataclass(frozen=True, slots=True)
class Limits:
    """Scores at which people are told, and at which the line stops."""

    alert: int
    stop: int


def draw_picture(line: Line, limits: Limits, evidence: Path) -> Canvas:
    """Return the run as BGR ``(900, 1400, 3)``."""
    canvas: Canvas = np.full((HEIGHT, WIDTH, 3), 255, np.uint8)
    _write(canvas, "Is the defect rate still normal?", (LEFT, 50), 30, weight=700)
    _write(canvas, _subtitle(line), (LEFT, 84), 18, colour=_GREY)
    if line.parts:
        _draw_chart(canvas, line, limits)
    _write(canvas, "The parts with the most defects", (LEFT, 590), 22, weight=700)
    for place, (part, tile) in enumerate(_worst(line, evidence)):
        x = LEFT + place * (TILE_PX + 15)
        canvas[610 : 610 + TILE_PX, x : x + TILE_PX] = tile
        cv2.rectangle(canvas, (x, 610), (x + TILE_PX, 610 + TILE_PX), _PALE, 1)
        _write(canvas, f"part {part}", (x, 610 + TILE_PX + 24), 16, colour=_GREY)
    return canvas


def _subtitle(line: Line) -> str:
    counts = line.verdicts()
    text = f"{len(line.parts)} parts, {counts['fail']} rejected, {counts['review']} for people"
    if line.stopped_at is not None:
        after = line.stopped_at - BURST_AT + 1
        text += f"; the line stopped {after} parts after the process broke"
    return text


def _draw_chart(canvas: Canvas, line: Line, limits: Limits) -> None:
    parts, top = line.parts, max([limits.stop, *(seen.score for seen in line.parts)]) * 1.12

    def at(number: float, score: float) -> tuple[int, int]:
        x = LEFT + (RIGHT - LEFT) * (number - 0.5) / max(1, len(parts))
        return round(x), round(BOTTOM - (BOTTOM - TOP) * score / top)

    if len(parts) >= BURST_AT:
        start = at(BURST_AT - 0.5, 0)[0]
        cv2.rectangle(canvas, (start, TOP), (RIGHT, BOTTOM), (244, 244, 252), -1)
        _write(canvas, "the process breaks here", (start - 190, TOP + 22), 16, colour=_RED)
    for score, name, colour in (
        (limits.alert, "people are told", _AMBER),
        (limits.stop, "the line stops", _RED),
    ):
        y = at(1, score)[1]
        for x in range(LEFT, RIGHT, 14):
            cv2.line(canvas, (x, y), (x + 7, y), colour, 2)
        _write(canvas, name, (LEFT + 8, y - 8), 16, colour=colour)
    steps = [point for seen in parts for point in [at(seen.part.number, seen.score)]]
    cv2.polylines(canvas, [np.array(steps, np.int32)], False, _BLUE, 3, cv2.LINE_AA)  # noqa: FBT003
    for seen in parts:
        if seen.verdict == "fail":
            cv2.circle(canvas, at(seen.part.number, seen.score), 5, _RED, -1, cv2.LINE_AA)
    _draw_axes(canvas, len(parts))


def _draw_axes(canvas: Canvas, count: int) -> None:
    cv2.line(canvas, (LEFT, BOTTOM), (RIGHT, BOTTOM), _INK, 1)
    step = next(step for step in (10, 20, 50, 100) if count / step <= 14 or step == 100)
    for number in range(step, count + 1, step):
        x = round(LEFT + (RIGHT - LEFT) * (number - 0.5) / count)
        cv2.line(canvas, (x, BOTTOM), (x, BOTTOM + 5), _INK, 1)
        _write(canvas, str(number), (x - 10, BOTTOM + 24), 15, colour=_GREY)
    _write(canvas, "parts, in their order", (LEFT, BOTTOM + 46), 15, colour=_GREY)
    cv2.circle(canvas, (LEFT + 190, BOTTOM + 41), 5, _RED, -1, cv2.LINE_AA)
    _write(canvas, "rejected", (LEFT + 202, BOTTOM + 46), 15, colour=_GREY)
    _write(canvas, "evidence", (14, TOP + 8), 15, colour=_GREY)


def _worst(line: Line, evidence: Path) -> list[tuple[int, Canvas]]:
    """Return the rejected parts with the most red in their kept picture, as tiles."""
    found: list[tuple[int, int, Canvas]] = []
    for seen in line.parts:
        tile = _tile(line, seen, evidence)
        if tile is not None:
            red = int(((tile[..., 2] > 200) & (tile[..., 1] < 80)).sum())
            small = cv2.resize(tile, (TILE_PX, TILE_PX), interpolation=cv2.INTER_AREA)
            found.append((red, seen.part.number, np.asarray(small, np.uint8)))
    worst = sorted(found, key=lambda entry: -entry[0])[:WORST]
    return [(number, tile) for _, number, tile in worst]


def _tile(line: Line, seen: Seen, evidence: Path) -> Canvas | None:
    number = line.station_part.get(seen.part.number)
    if seen.verdict != "fail" or number is None:
        return None
    picture = cv2.imread(str(evidence / EvidenceStore.name_of(number)))
    return None if picture is None else np.asarray(picture, np.uint8)


def _write(
    canvas: Canvas,
    text: str,
    at: tuple[int, int],
    size: int,
    *,
    colour: Colour = _INK,
    weight: int = 400,
) -> None:
    cv2.putText(canvas, text, at, colour, cv2.FontFace("sans"), size, weight)
