"""``make bench-models``: what each way to build and run a detector costs and keeps, in one run.

Latency is a ratio to the model's float build on onnxruntime, one thread, all builds in turn.
Agreement is the share of its detections on COCO128's val pictures that a build has too. ``refused``
is the reason of the gate that a quantised build has to pass.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from shopfloor_contracts.bundles import Preprocess
from shopfloor_models.errors import DataError, ModelsError
from shopfloor_models.evaluation.coco import Labelled, accuracy, read_labelled
from shopfloor_models.evaluation.parity import agreement
from shopfloor_models.evaluation.predict import BuildPredictor, Floats, Network
from shopfloor_models.evaluation.report import Example, Measured, render, worst
from shopfloor_models.evaluation.robustness import Curve, robustness
from shopfloor_models.evaluation.speed import Input, compare
from shopfloor_models.export.letterbox import load_stills
from shopfloor_models.export.onnx_fold import load_model
from shopfloor_models.export.targets import TARGETS, Source, make
from shopfloor_models.gates import Evidence, check, read_gates, reason_to_refuse
from shopfloor_models.training.teacher import find_model

REPOSITORY = Path(__file__).resolve().parents[3]
CALIBRATION_PICTURES = 120
REFERENCE = "onnx-fp32"
PERSON = [0]
MODELS = ("yolox-nano", "person-nano")
BACKENDS = {
    "onnx-fp32": ("onnxruntime", "openvino"),
    "onnx-int8": ("onnxruntime", "openvino"),
    "onnx-int8-tensorrt": ("onnxruntime",),
    "litert-int8": ("litert",),
}
"""What runs each build here; the first is its own. TensorRT needs a GPU: onnxruntime runs the same
integers."""


@dataclass(frozen=True, slots=True)
class Row:
    """One build on one runtime."""

    target: str
    runtime: str
    measured: Measured
    refused: str


@dataclass(frozen=True, slots=True)
class Benched:
    """A model's builds with their figures, and how the float one bears worse pictures."""

    model: str
    rows: list[Row]
    robustness: list[Curve]
    examples: list[Example]


def bench(model: str, mirror: Path, folder: Path) -> Benched:
    """Make every build of ``model`` in ``folder`` and measure it; accuracy is that of persons.

    Raises:
        DataError: the mirror has not what is needed.
        MissingExtraError: a runtime is not installed.
    """
    data = mirror / "data"
    pool = sorted((data / "people/images").glob("*.jpg"))[::15][:CALIBRATION_PICTURES]
    if not pool or not (data / "coco128").is_dir():
        raise DataError(f"{mirror}: no COCO128 or no pool of people; SHOPFLOOR_MIRROR names it")
    truth = read_labelled(data / "coco128/images/val2017", data / "coco128/labels/val2017")
    known = find_model(model)
    spec = known.manifest.preprocess
    files = _make(Source(load_model(known.path), load_stills(pool, spec)), folder)
    ways = {f"{t} {one}": (t, one) for t in files for one in BACKENDS[t]}
    predictors = {
        way: BuildPredictor(files[target], Network.of(known.manifest), runtime=runtime)
        for way, (target, runtime) in ways.items()
    }
    found = {
        way: predictor.predict([one.pixels for one in truth])
        for way, predictor in predictors.items()
    }
    builds = _measured({way: files[t] for way, (t, _) in ways.items()}, spec, truth, found)
    base = builds[0].accuracy.ap
    rows = [
        Row(*ways[one.name], one, _refusal(known.manifest.licence, one, base)) for one in builds
    ]
    first = next(iter(ways))
    curves = robustness(predictors[first], truth, classes=PERSON)
    return Benched(model, rows, curves, worst(truth, found[first]))


def _measured(
    files: dict[str, Path], spec: Preprocess, truth: list[Labelled], found: dict[str, list[Floats]]
) -> list[Measured]:
    """Time all ways in turn, and hold what they found against truth and the first."""
    first = next(iter(files))
    speeds = compare(
        files,
        reference=first,
        given=Input(spec.width_px, spec.height_px),
        rounds=40,
        runtimes={way: way.split()[1] for way in files},
    )
    return [
        Measured(
            speed.name,
            files[speed.name].stat().st_size,
            accuracy(truth, found[speed.name], classes=PERSON),
            speed,
            agreement(found[first], found[speed.name]),
        )
        for speed in speeds
    ]


def _make(source: Source, folder: Path) -> dict[str, Path]:
    files = {}
    for name, target in TARGETS.items():
        files[name] = folder / f"{name}{target.suffix}"
        files[name].write_bytes(make(name, source).content)
        if target.verify is not None:
            print(target.verify(files[name]), file=sys.stderr)
    return files


def _refusal(licence: str, build: Measured, ap_fp32: float) -> str:
    evidence = Evidence(
        build.name, licence, build.size_bytes, ap=build.accuracy.ap, ap_fp32=ap_fp32
    )
    return reason_to_refuse(check(evidence, read_gates("quantised")))


def _figures(model: str, row: Row) -> dict[str, object]:
    build = row.measured
    return {
        "model": model,
        "target": row.target,
        "runtime": row.runtime,
        "latency_ratio_to_fp32": round(build.speed.latency_ratio, 3),
        "agreement": round(build.agreement.agreement, 4),
        "person_ap": round(build.accuracy.ap, 4),
        "bytes": build.size_bytes,
        "refused": row.refused,
    }


def main() -> int:
    """Run the benchmark, print a table, write figures and report."""
    parser = argparse.ArgumentParser(prog="make bench-models", description=__doc__)
    parser.add_argument("--out", type=Path, default=REPOSITORY / "var/bench/models.json")
    arguments = parser.parse_args()
    mirror = Path(os.environ.get("SHOPFLOOR_MIRROR") or REPOSITORY.parent / "shared")
    benched = []
    try:
        for model in MODELS:
            with tempfile.TemporaryDirectory(prefix="shopfloor-bench-") as folder:
                benched.append(bench(model, mirror, Path(folder)))
    except ModelsError as e:
        print(f"bench-models: {e}", file=sys.stderr)
        return 2
    rows = [_figures(one.model, row) for one in benched for row in one.rows]
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    content = {"machine": _machine(), "builds": rows}
    arguments.out.write_text(json.dumps(content, indent=2) + "\n")
    for one in benched:
        _report(one, arguments.out.with_name(f"{arguments.out.stem}-{one.model}.html"))
    table = Table(title=f"Builds against their float network, one thread, {_machine()}")
    for column in rows[0]:
        text = column in ("model", "target", "runtime", "refused")
        table.add_column(column.replace("_", " "), justify="left" if text else "right")
    for figures in rows:
        table.add_row(*(str(value) for value in figures.values()))
    Console().print(table)
    return 0


def _report(benched: Benched, path: Path) -> None:
    path.write_text(
        render(
            f"Builds of {benched.model}",
            [row.measured for row in benched.rows],
            classes=["person"],
            robustness=benched.robustness,
            examples=benched.examples,
        )
    )
    print(path)


def _machine() -> str:
    """Return the CPU's model and how many cores there are."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else 'unknown CPU'}, {os.cpu_count()} cores"


if __name__ == "__main__":
    sys.exit(main())
