"""``make train-inspection``, first step: windows around differences, with what they are.

The device's own judge finds the differences, so that training sees what service will see.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from shopfloor_demo.errors import OperatorError
from shopfloor_demo.pcb import CLASSES, THRESHOLD, Pair, pairs
from shopfloor_edge.inspection.judges.template import TemplateJudge
from shopfloor_edge.inspection.judges.trained import DIFFERENCES, looked_at
from shopfloor_edge.inspection.judges.windows import Windows, cut
from shopfloor_edge.inspection.ports import Box, Doubt
from shopfloor_edge.inspection.registration import Reference

SIDE_PX = 64
WIDE = 1.5
NONE = 0
"""Class number of a difference that is no defect; defects count from 1."""


def labelled(pair: Pair) -> tuple[Windows, NDArray[np.float32], NDArray[np.int64]] | None:
    """Return windows of one pair, boxes ``(N, 4)`` of their defects in pixels, and classes.

    A window belongs to the defect nearest to its centre; each defect has one around itself too.
    None: the pair cannot be compared.
    """
    compared = TemplateJudge(Reference(pair.reference, THRESHOLD), DIFFERENCES).compare(pair.part)
    if isinstance(compared, Doubt):
        return None
    places = looked_at(compared.findings)
    boxes, classes = [_nothing(place) for place in places], [NONE] * len(places)
    for number, (x1, y1, x2, y2) in enumerate(places):
        nearest = _at((x1 + x2) / 2, (y1 + y2) / 2, pair.boxes)
        if nearest is not None:
            boxes[number], classes[number] = pair.boxes[nearest], int(pair.classes[nearest]) + 1
    for box, number in zip(pair.boxes, pair.classes, strict=True):
        x1, y1, x2, y2 = (int(side) for side in box)
        places.append((x1, y1, x2, y2))
        boxes.append(box)
        classes.append(int(number) + 1)
    windows = cut((compared.reference, compared.part), places, SIDE_PX, wide=WIDE)
    return windows, np.array(boxes, np.float32).reshape(-1, 4), np.array(classes, np.int64)


def _nothing(place: Box) -> NDArray[np.float32]:
    return np.array(place, np.float32)


def _at(x: float, y: float, boxes: NDArray[np.float32]) -> int | None:
    """Return the box around a point, the one with the nearest centre if several, or None."""
    around = (boxes[:, 0] <= x) & (x <= boxes[:, 2]) & (boxes[:, 1] <= y) & (y <= boxes[:, 3])
    if not around.any():
        return None
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    far = np.abs(centres - (x, y)).sum(1)
    return int(np.where(around, far, np.inf).argmin())


def write(folder: Path, out: Path) -> int:
    """Write the training list's windows to ``out``, an NPZ; return how many there are.

    Raises:
        OperatorError: the data cannot be read.
    """
    found = [one for pair in pairs(folder, "train") if (one := labelled(pair)) is not None]
    out.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.concatenate([windows.pixels for windows, _, _ in found])
    np.savez(
        out,
        windows=pixels,
        boxes=np.concatenate([windows.to_shares(boxes) for windows, boxes, _ in found]),
        labels=np.concatenate([numbers for _, _, numbers in found]),
        classes=np.array(CLASSES),
        wide=np.array(WIDE),
        parts=np.array(len(found)),
    )
    return len(pixels)


def main() -> int:
    """Write the windows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mirror", type=Path, required=True, help="folder with data/deeppcb")
    parser.add_argument("--out", type=Path, required=True, help="NPZ file")
    arguments = parser.parse_args()
    try:
        count = write(arguments.mirror / "data" / "deeppcb", arguments.out)
    except OperatorError as e:
        print(f"train-inspection: {e}", file=sys.stderr)
        return 2
    print(f"{count} windows in {arguments.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
