"""``make train-one-class``, first step: good boards as a camera would see them.

The train list's good boards, moved by up to 8 px and made noisy, as they come along a line.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import cv2
import numpy as np

from shopfloor_demo.errors import OperatorError
from shopfloor_demo.pcb import Grey, pairs
from shopfloor_edge.inspection.registration import shifted

NOISE, MOVED_PX = 4.0, 8
SEED = 5


def as_seen(reference: Grey, random: np.random.Generator) -> Grey:
    """Return a good part as a camera sees it: somewhat moved, and noisy."""
    dx, dy = (int(px) for px in random.integers(-MOVED_PX, MOVED_PX + 1, 2))
    noisy = shifted(reference, dx, dy) + random.normal(0, NOISE, reference.shape)
    return np.asarray(np.clip(noisy, 0, 255), np.uint8)


def write(folder: Path, out: Path) -> int:
    """Write a picture per good board of the train list; return how many there are.

    Raises:
        OperatorError: the data cannot be read.
    """
    out.mkdir(parents=True, exist_ok=True)
    random, count = np.random.default_rng(SEED), 0
    for pair in pairs(folder, "train"):
        count += 1
        cv2.imwrite(str(out / f"{pair.name}.png"), as_seen(pair.reference, random))
    return count


def main() -> int:
    """Write the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mirror", type=Path, required=True, help="folder with data/deeppcb")
    parser.add_argument("--out", type=Path, required=True, help="folder of pictures")
    arguments = parser.parse_args()
    try:
        count = write(arguments.mirror / "data" / "deeppcb", arguments.out)
    except OperatorError as e:
        print(f"train-one-class: {e}", file=sys.stderr)
        return 2
    print(f"{count} good boards in {arguments.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
