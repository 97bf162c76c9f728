"""The figures and the golden clip of ``person-nano``, written into its manifest.

``make eval-person-nano`` counts crossings and persons with the device's own code first; here its
figures are taken over, pictures are made worse, and the gates for what is shipped are asked. The
network's file is not touched.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError
from rich.console import Console

from shopfloor_contracts.bundles import Build, Manifest, Measure
from shopfloor_models.bundle import MANIFEST
from shopfloor_models.data.people import load_pool
from shopfloor_models.data.samples import Sample
from shopfloor_models.errors import DataError, ModelsError
from shopfloor_models.evaluation.coco import Labelled, accuracy, read_labelled
from shopfloor_models.evaluation.measure import Figures, Subject, measure
from shopfloor_models.evaluation.predict import BuildPredictor, Network
from shopfloor_models.evaluation.report import render, worst
from shopfloor_models.evaluation.robustness import robustness, robustness_ratio
from shopfloor_models.files import write_whole
from shopfloor_models.gates import evidence_in, read_gates, refuse_unfit
from shopfloor_models.golden_choice import with_golden
from shopfloor_models.training.teacher import find_model, read_manifest

TARGET = "onnx-fp32"
REFERENCE = "yolox-nano"
GATES = "shipped"
PERSON = (0,)
COCO = "COCO128 val, 128 pictures, class person"
CROSSINGS = "vtest.avi frames 400-794, three lines"
MAY_BE_SHIPPED = "intel-iot-devkit/sample-videos"
"""CC-BY-4.0; the only footage of the pool that is named in NOTICE."""


class _Measured(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")
    sha256: str


class Evaluated(BaseModel):
    """What the device's code measured: ``var/eval/person-nano.json``."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    crossing_f1: float
    crossing_f1_unseen_scene: float | None
    cpu_ratio_to_yolox_nano: float
    person_ap: float
    person_ap50: float
    measured: _Measured


@dataclass(frozen=True, slots=True)
class Places:
    """Where things are."""

    bundle: Path
    evaluated: Path
    mirror: Path
    report: Path


def record(places: Places, console: Console) -> Manifest:
    """Measure what is left, ask the gates, and write manifest, golden clip and report.

    Raises:
        DataError: the evaluation is of another build, or the mirror lacks something.
        GateError: the detector is not fit to ship; nothing is written.
    """
    manifest = read_manifest(places.bundle / MANIFEST)
    build = manifest.build_for(TARGET) or manifest.builds[0]
    evaluated = read_evaluated(places.evaluated, build)
    data = places.mirror / "data" / "coco128"
    truth = read_labelled(data / "images/val2017", data / "labels/val2017")
    with console.status("") as status:
        subject = Subject(manifest, places.bundle, truth, PERSON)
        figures = measure(subject, with_robustness=True, tell=status.update)
        status.update(f"worse pictures for {REFERENCE}")
        reference = reference_ratio(truth)
    found = [*_taken_over(evaluated), *robustness_measures(figures, reference)]
    manifest = manifest.model_copy(update={"evaluation": found})
    refuse_unfit(evidence_in(manifest, build), read_gates(GATES))
    samples = showable(places.mirror / "data" / "people")
    manifest = with_golden(manifest, places.bundle, samples, say=console.print)
    text = manifest.model_dump_json(indent=1) + "\n"
    write_whole(places.bundle / MANIFEST, text.encode())
    places.report.parent.mkdir(parents=True, exist_ok=True)
    write_whole(places.report, _report(manifest, subject, figures).encode())
    return manifest


def read_evaluated(path: Path, build: Build) -> Evaluated:
    """Read the figures of the device's code.

    Raises:
        DataError: there are none, or they are of another file than ``build``.
    """
    try:
        evaluated = Evaluated.model_validate_json(path.read_bytes())
    except OSError as e:
        raise DataError(f"{path}: {e.strerror}") from e
    except ValidationError as e:
        raise DataError(f"{path}: {e.errors()[0]['loc']}: {e.errors()[0]['msg']}") from e
    if evaluated.measured.sha256 != build.sha256:
        raise DataError(
            f"{path} is of a build with sha256 {evaluated.measured.sha256}, "
            f"the manifest's {build.target} has {build.sha256}"
        )
    return evaluated


def reference_ratio(truth: Sequence[Labelled]) -> float:
    """Return the share of AP that worse pictures leave YOLOX-nano."""
    known = find_model(REFERENCE)
    predictor = BuildPredictor(known.path, Network.of(known.manifest))
    clean = predictor.predict([one.pixels for one in truth])
    curves = robustness(predictor, truth, classes=PERSON)
    return robustness_ratio(curves, accuracy(truth, clean, classes=PERSON).ap)


def robustness_measures(figures: Figures, reference: float) -> list[Measure]:
    """Return the share of AP that is left in worse pictures, in all and by kind."""
    clean, ratio = figures.builds[0].accuracy.ap, figures.robustness_ratio or 0.0
    kinds = {
        f"robustness-{curve.kind}": robustness_ratio([curve], clean) for curve in figures.curves
    }
    everything = {
        "robustness-ratio": ratio,
        "robustness-to-reference": ratio / reference if reference else 0.0,
        **kinds,
    }
    return [
        Measure(metric=metric, value=round(value, 3), data=COCO, target=TARGET)
        for metric, value in everything.items()
    ]


def showable(pool: Path) -> list[Sample]:
    """Return the pool's pictures that a golden clip may show to everybody.

    Raises:
        DataError: the pool has none.
    """
    samples = [
        sample
        for sample in load_pool(pool, split=None, licences=("cc-by",))
        if sample.source.startswith(MAY_BE_SHIPPED) and len(sample.boxes)
    ]
    if not samples:
        raise DataError(f"{pool}: 0 pictures of {MAY_BE_SHIPPED} with people")
    return samples


def _taken_over(evaluated: Evaluated) -> list[Measure]:
    figures: list[tuple[str, float | None, str]] = [
        ("ap", evaluated.person_ap, COCO),
        ("ap50", evaluated.person_ap50, COCO),
        ("crossing-f1", evaluated.crossing_f1, CROSSINGS),
        ("crossing-f1-unseen-scene", evaluated.crossing_f1_unseen_scene, CROSSINGS),
        # Tenths: it scatters by .04 between runs on one machine.
        (
            "cpu-ratio",
            round(evaluated.cpu_ratio_to_yolox_nano, 1),
            f"{CROSSINGS}; to {REFERENCE}, one thread, same run",
        ),
    ]
    return [
        Measure(metric=metric, value=value, data=data, target=TARGET)
        for metric, value, data in figures
        if value is not None
    ]


def _report(manifest: Manifest, subject: Subject, figures: Figures) -> str:
    return render(
        f"{manifest.name} {manifest.version} on {COCO}",
        figures.builds,
        classes=manifest.classes,
        robustness=figures.curves,
        examples=worst(subject.truth, figures.found),
    )


def main() -> int:
    """Write the figures and print them."""
    parser = argparse.ArgumentParser(prog="python -m shopfloor_models.recipes.person_nano_figures")
    parser.add_argument("--mirror", type=Path, required=True, help="folder with data/ and models/")
    parser.add_argument("--bundle", type=Path, default=Path("models/zoo/person-nano"))
    parser.add_argument("--evaluated", type=Path, default=Path("var/eval/person-nano.json"))
    parser.add_argument("--report", type=Path, default=Path("var/eval/person-nano.html"))
    arguments = parser.parse_args()
    places = Places(arguments.bundle, arguments.evaluated, arguments.mirror, arguments.report)
    try:
        manifest = record(places, Console(stderr=True))
    except ModelsError as e:
        print(f"person-nano: {e}", file=sys.stderr)
        return 2
    print(json.dumps({one.metric: one.value for one in manifest.evaluation}, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
