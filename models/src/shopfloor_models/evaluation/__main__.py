"""``python -m shopfloor_models.evaluation``: average precision of detections made elsewhere."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np

from shopfloor_models.errors import DataError, ModelsError
from shopfloor_models.evaluation.coco import accuracy, read_labelled
from shopfloor_models.evaluation.predict import Floats


def read_detections(path: Path) -> dict[str, Floats]:
    """Read ``{picture: [[x1, y1, x2, y2, score, class], …]}``.

    Raises:
        DataError: it is not of that form.
    """
    try:
        table = json.loads(path.read_text())
        return {name: np.array(rows, np.float32).reshape(-1, 6) for name, rows in table.items()}
    except (OSError, ValueError, AttributeError) as e:
        raise DataError(f"{path}: no detections: {e}") from e


def main() -> int:
    """Print AP and AP50 as JSON."""
    parser = argparse.ArgumentParser(prog="python -m shopfloor_models.evaluation")
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--labels", type=Path, required=True)
    parser.add_argument("--detections", type=Path, required=True)
    parser.add_argument("--class", dest="classes", type=int, action="append", required=True)
    arguments = parser.parse_args()
    try:
        truth = read_labelled(arguments.images, arguments.labels)
        table = read_detections(arguments.detections)
    except ModelsError as e:
        print(f"evaluation: {e}", file=sys.stderr)
        return 2
    nothing = np.zeros((0, 6), np.float32)
    found = [table.get(picture.name, nothing) for picture in truth]
    result = accuracy(truth, found, classes=arguments.classes)
    print(json.dumps({"ap": result.ap, "ap50": result.ap50, "by_size": result.by_size}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
