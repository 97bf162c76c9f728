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
from dataclasses import dataclass
from pathlib import Path

import onnx
from rich.console import Console
from rich.table import Table

from shopfloor_models.errors import DataError, ModelsError
from shopfloor_models.evaluation.coco import accuracy, read_labelled
from shopfloor_models.evaluation.parity import agreement
from shopfloor_models.evaluation.predict import BuildPredictor, Network
from shopfloor_models.evaluation.report import Example, Measured, render, worst
from shopfloor_models.evaluation.robustness import Curve, robustness
from shopfloor_models.evaluation.speed import Input, compare
from shopfloor_models.export.letterbox import load_stills
from shopfloor_models.export.targets import Source, make
from shopfloor_models.training.teacher import find_model

REPOSITORY = Path(__file__).resolve().parents[3]
CALIBRATION_PICTURES = 120
PLAIN = "float, as published"
PERSON = [0]
TARGETS = ("onnx-fp32", "onnx-int8", "onnx-int8-tensorrt")


@dataclass(frozen=True, slots=True)
class Benched:
    """Every build with its figures, and how the folded float one bears worse pictures."""

    builds: list[Measured]
    robustness: list[Curve]
    examples: list[Example]


def bench(mirror: Path, folder: Path) -> Benched:
    """Make every build in ``folder`` and measure it; accuracy is that of the class person.

    Raises:
        DataError: the mirror has not what is needed.
    """
    data = mirror / "data"
    pool = sorted((data / "people/images").glob("*.jpg"))[::15][:CALIBRATION_PICTURES]
    if not pool or not (data / "coco128").is_dir():
        raise DataError(f"{mirror}: no COCO128 or no pool of people; SHOPFLOOR_MIRROR names it")
    truth = read_labelled(data / "coco128/images/val2017", data / "coco128/labels/val2017")
    known = find_model("yolox-nano")
    spec, network = known.manifest.preprocess, Network.of(known.manifest)
    source = Source(onnx.load(known.path), load_stills(pool, spec))
    files = {PLAIN: known.path}
    for target in TARGETS:
        files[target] = folder / f"{target}.onnx"
        onnx.save(make(target, source).model, files[target])
    speeds = compare(files, reference=PLAIN, given=Input(spec.width_px, spec.height_px), rounds=40)
    predictors = {name: BuildPredictor(path, network) for name, path in files.items()}
    pixels = [one.pixels for one in truth]
    found = {name: predictor.predict(pixels) for name, predictor in predictors.items()}
    builds = [
        Measured(
            speed.name,
            files[speed.name].stat().st_size,
            accuracy(truth, found[speed.name], classes=PERSON),
            speed,
            agreement(found[PLAIN], found[speed.name]),
        )
        for speed in speeds
    ]
    curves = robustness(predictors["onnx-fp32"], truth, classes=PERSON)
    return Benched(builds, curves, worst(truth, found["onnx-fp32"]))


def _row(build: Measured) -> dict[str, object]:
    return {
        "target": build.name,
        "runtime": "onnxruntime",
        "latency_ratio_to_fp32": round(build.speed.latency_ratio, 3),
        "agreement": round(build.agreement.agreement, 4),
        "person_ap": round(build.accuracy.ap, 4),
        "bytes": build.size_bytes,
    }


def main() -> int:
    """Run the benchmark, print a table, write figures and report."""
    parser = argparse.ArgumentParser(prog="make bench-models", description=__doc__)
    parser.add_argument("--out", type=Path, default=REPOSITORY / "var/bench/models.json")
    arguments = parser.parse_args()
    mirror = Path(os.environ.get("SHOPFLOOR_MIRROR") or REPOSITORY.parent / "shared")
    try:
        with tempfile.TemporaryDirectory(prefix="shopfloor-bench-") as folder:
            benched = bench(mirror, Path(folder))
    except ModelsError as e:
        print(f"bench-models: {e}", file=sys.stderr)
        return 2
    rows = [_row(build) for build in benched.builds]
    report = arguments.out.with_suffix(".html")
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps({"builds": rows}, indent=2) + "\n")
    report.write_text(
        render(
            "Builds of YOLOX-nano",
            benched.builds,
            classes=["person"],
            robustness=benched.robustness,
            examples=benched.examples,
        )
    )
    table = Table(title="Builds of YOLOX-nano against the published float network")
    for column in ("target", "runtime", "latency ratio", "agreement", "person AP", "bytes"):
        table.add_column(column, justify="left" if column in ("target", "runtime") else "right")
    for row in rows:
        table.add_row(*(str(value) for value in row.values()))
    Console().print(table)
    print(report)
    return 0


if __name__ == "__main__":
    sys.exit(main())
