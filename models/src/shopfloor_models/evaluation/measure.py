"""Every build of a bundle that runs here, measured on labelled pictures in one run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from shopfloor_contracts.bundles import Manifest
from shopfloor_models.data.samples import Sample
from shopfloor_models.data.scan import Scan
from shopfloor_models.errors import DataError, MissingExtraError
from shopfloor_models.evaluation.coco import Labelled, accuracy
from shopfloor_models.evaluation.parity import agreement
from shopfloor_models.evaluation.predict import BuildPredictor, Floats, Network, Predictor
from shopfloor_models.evaluation.report import Measured
from shopfloor_models.evaluation.robustness import Curve, robustness, robustness_ratio
from shopfloor_models.evaluation.speed import Input, compare
from shopfloor_models.export.letterbox import read_picture

FLOAT_TARGET = "onnx-fp32"
ROUNDS = 20


@dataclass(frozen=True, slots=True)
class Subject:
    """A bundle and what it is measured on."""

    manifest: Manifest
    folder: Path
    truth: Sequence[Labelled]
    """Classes are numbered as in the manifest."""
    classes: tuple[int, ...]
    """Those that the dataset labels; others are left out."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What was found; the float build first."""

    builds: list[Measured]
    found: list[Floats]
    """Of the first build, per picture."""
    skipped: dict[str, str]
    """Builds that do not run here, and why."""
    curves: list[Curve]
    """Of the first build; empty where nobody asked."""

    @property
    def robustness_ratio(self) -> float | None:
        """AP in worse pictures to AP in good ones; None where it was not measured."""
        clean = self.builds[0].accuracy.ap
        return robustness_ratio(self.curves, clean) if self.curves else None


def read_subject(manifest: Manifest, folder: Path, scan: Scan, *, split: str, most: int) -> Subject:
    """Read at most ``most`` pictures of a split, evenly spread, into memory.

    Raises:
        DataError: the split is empty, or the bundle does not know a class of the dataset.
    """
    samples = scan.samples("train" if split == "train" else "val")
    if not samples:
        other = "train" if split == "val" else "val"
        raise DataError(
            f"{scan.dataset.name}: 0 pictures in {split}; --split {other} may have some"
        )
    for name in scan.dataset.classes:
        if name not in manifest.classes:
            raise DataError(
                f"class {name!r} of dataset {scan.dataset.name} is not in the list of "
                f"{manifest.name}: {', '.join(manifest.classes[:10])}"
            )
    numbers = np.array([manifest.classes.index(name) for name in scan.dataset.classes], np.int64)
    chosen = samples[:: -(-len(samples) // most)]
    truth = [_labelled(sample, numbers) for sample in chosen]
    return Subject(manifest, folder, truth, tuple(numbers.tolist()))


def measure(
    subject: Subject, *, with_robustness: bool, tell: Callable[[str], None] = lambda _what: None
) -> Figures:
    """Measure accuracy, agreement with the float build, time and memory.

    Raises:
        DataError: no build runs here.
    """
    predictors, skipped = _predictors(subject)
    pixels = [one.pixels for one in subject.truth]
    found = {}
    for target, predictor in predictors.items():
        tell(f"{target} on {len(pixels)} pictures")
        found[target] = predictor.predict(pixels)
    first = next(iter(found))
    tell("time and memory")
    files = {b.target: subject.folder / b.file for b in subject.manifest.builds}
    spec = subject.manifest.preprocess
    given = Input(spec.width_px, spec.height_px, spec.scale)
    speeds = compare({t: files[t] for t in found}, reference=first, given=given, rounds=ROUNDS)
    builds = [
        Measured(
            speed.name,
            files[speed.name].stat().st_size,
            accuracy(subject.truth, found[speed.name], classes=subject.classes),
            speed,
            agreement(found[first], found[speed.name]),
        )
        for speed in speeds
    ]
    curves = []
    if with_robustness:
        tell("worse pictures")
        curves = robustness(predictors[first], subject.truth, classes=subject.classes)
    return Figures(builds, found[first], skipped, curves)


def _predictors(subject: Subject) -> tuple[dict[str, Predictor], dict[str, str]]:
    manifest = subject.manifest
    ready: dict[str, Predictor] = {}
    skipped = {}
    for build in sorted(manifest.builds, key=lambda one: one.target != FLOAT_TARGET):
        try:
            ready[build.target] = BuildPredictor(subject.folder / build.file, Network.of(manifest))
        except (DataError, MissingExtraError) as e:
            skipped[build.target] = str(e)
    if not ready:
        raise DataError(f"{manifest.name}: no build runs here: {'; '.join(skipped.values())}")
    return ready, skipped


def _labelled(sample: Sample, numbers: np.ndarray[tuple[int], np.dtype[np.int64]]) -> Labelled:
    pixels = read_picture(sample.image)
    size = np.array([pixels.shape[1], pixels.shape[0]] * 2, np.float32)
    return Labelled(sample.image.name, pixels, sample.boxes * size, numbers[sample.classes])
