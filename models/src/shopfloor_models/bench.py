"""``make bench-models``: what each way to build YOLOX-nano costs and keeps, in one run.

Latency is a ratio to the plain float network on onnxruntime, one thread, all builds in turn.
Agreement is the share of its detections on COCO128's val pictures that a build has too.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

import onnx
from rich.console import Console
from rich.table import Table

from shopfloor_contracts.bundles import Manifest
from shopfloor_models.errors import DataError, ModelsError
from shopfloor_models.evaluation.parity import agreement
from shopfloor_models.evaluation.predict import BuildPredictor, Floats, Network
from shopfloor_models.evaluation.speed import Input, compare
from shopfloor_models.export.letterbox import load_stills, read_picture
from shopfloor_models.export.targets import Source, make
from shopfloor_models.training.teacher import find_model

REPOSITORY = Path(__file__).resolve().parents[3]
CALIBRATION_PICTURES = 120
PLAIN = "float, as published"
TARGETS = ("onnx-fp32", "onnx-int8", "onnx-int8-tensorrt")


def bench(mirror: Path, folder: Path) -> list[dict[str, object]]:
    """Make every build in ``folder`` and measure it.

    Raises:
        DataError: the mirror has not what is needed.
    """
    known = find_model("yolox-nano")
    spec = known.manifest.preprocess
    pictures = sorted((mirror / "data/coco128/images/val2017").glob("*.jpg"))
    pool = sorted((mirror / "data/people/images").glob("*.jpg"))[::15][:CALIBRATION_PICTURES]
    if not pictures or not pool:
        raise DataError(f"{mirror}: no COCO128 or no pool of people; SHOPFLOOR_MIRROR names it")
    source = Source(onnx.load(known.path), load_stills(pool, spec))
    files = {PLAIN: known.path}
    for target in TARGETS:
        files[target] = folder / f"{target}.onnx"
        onnx.save(make(target, source).model, files[target])
    speeds = compare(files, reference=PLAIN, given=Input(spec.width_px, spec.height_px), rounds=40)
    found = {name: _detections(path, known.manifest, pictures) for name, path in files.items()}
    return [
        {
            "target": speed.name,
            "runtime": "onnxruntime",
            "latency_ratio_to_fp32": round(speed.latency_ratio, 3),
            "agreement": round(agreement(found[PLAIN], found[speed.name]).agreement, 4),
            "bytes": files[speed.name].stat().st_size,
        }
        for speed in speeds
    ]


def _detections(path: Path, manifest: Manifest, pictures: list[Path]) -> list[Floats]:
    predictor = BuildPredictor(path, Network.of(manifest))
    return [predictor.predict([read_picture(picture)])[0] for picture in pictures]


def main() -> int:
    """Run the benchmark and print a table."""
    parser = argparse.ArgumentParser(prog="make bench-models", description=__doc__)
    parser.add_argument("--out", type=Path, default=REPOSITORY / "var/bench/models.json")
    arguments = parser.parse_args()
    mirror = Path(os.environ.get("SHOPFLOOR_MIRROR") or REPOSITORY.parent / "shared")
    try:
        with tempfile.TemporaryDirectory(prefix="shopfloor-bench-") as folder:
            builds = bench(mirror, Path(folder))
    except ModelsError as e:
        print(f"bench-models: {e}", file=sys.stderr)
        return 2
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps({"builds": builds}, indent=2) + "\n")
    table = Table(title="Builds of YOLOX-nano against the published float network")
    for column in ("target", "runtime", "latency ratio", "agreement", "bytes"):
        table.add_column(column, justify="left" if column in ("target", "runtime") else "right")
    for build in builds:
        table.add_row(*(str(value) for value in build.values()))
    Console().print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
