"""How many annotated people, each alone in the empty picture, the motion gate does not notice.

``python tests/perf/gate_alone.py``, on the frames of ``edge_footage``; wants the mirror. Each
person's box is painted into their frame's empty picture, which is also what it is compared with.
"""

from __future__ import annotations

import os

import cv2
import edge_footage
import numpy as np
from edge_footage import Picture

from shopfloor_demo.clips import find_vtest, places
from shopfloor_demo.settings import REPOSITORY
from shopfloor_demo.truth import boxes_file
from shopfloor_edge.vision.gate import MotionGate

EVERY = 8


def main() -> None:
    """Print one line per part of the recording."""
    where = places(os.environ, REPOSITORY)
    boxes = boxes_file(where.mirror)
    if boxes is None:
        raise SystemExit("gate_alone: wants the boxes of PETS09-S2L1: set SHOPFLOOR_MIRROR")
    frames = edge_footage._read(find_vtest(where, say=print))
    covered = edge_footage._covered(boxes, len(frames))
    empty, table = edge_footage._background(frames, covered), np.loadtxt(boxes, delimiter=",")
    for name, part in (("tuned", edge_footage.TUNED), ("measured", edge_footage.MEASURED)):
        noticed = []
        for number in part[::EVERY]:
            base = edge_footage._without_people(frames, covered, empty, number)
            for row in table[table[:, 0] == number + 1]:
                left, top = row[2] - 1, row[3] - 1 - edge_footage.CROP.start
                x, y = slice(int(left), int(left + row[4])), slice(int(top), int(top + row[5]))
                if min(left, top) < 0 or left + row[4] > 768 or top + row[5] > 432:
                    continue
                picture = base.copy()
                picture[y, x] = frames[number][y, x]
                noticed.append(_notices(base, picture))
        print(f"{name}: {len(noticed)} people, {noticed.count(False)} not noticed")


def _notices(before: Picture, after: Picture) -> bool:
    gate = MotionGate([])
    gate._awake_until_s = 0.0
    gate.skips(_luma(before), 1.0)
    return not gate.skips(_luma(after), 1.2)


def _luma(picture: Picture) -> Picture:
    small = cv2.resize(picture, edge_footage.SUB)
    return np.asarray(cv2.cvtColor(small, cv2.COLOR_BGR2YUV_I420), np.uint8)[: edge_footage.SUB[1]]


if __name__ == "__main__":
    main()
