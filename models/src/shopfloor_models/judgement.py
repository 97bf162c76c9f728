"""What each build of a bundle is worth: measured, and refused where a gate says so."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from shopfloor_contracts.bundles import Build, Manifest, Measure
from shopfloor_models.data.samples import Sample
from shopfloor_models.data.scan import Scan
from shopfloor_models.errors import GateError
from shopfloor_models.evaluation.coco import Labelled, accuracy
from shopfloor_models.evaluation.predict import BuildPredictor, Network
from shopfloor_models.export.letterbox import read_picture
from shopfloor_models.gates import Evidence, check, read_gates, reason_to_refuse

MAX_PICTURES = 200
"""Held in memory decoded; enough to see half a point."""
FLOAT_TARGET = "onnx-fp32"


def judge_builds(
    manifest: Manifest, folder: Path, scan: Scan, *, say: Callable[[str], None]
) -> Manifest:
    """Return the manifest with the figures of its builds, without those that a gate refuses.

    Raises:
        GateError: no build is left.
    """
    samples, data = scan.samples("val"), f"{scan.dataset.name} val"
    if not samples:
        # What quantising costs shows on known pictures too; how good the network is doesn't.
        samples, data = scan.samples("train"), f"{scan.dataset.name} train, seen in training"
    pictures = [_labelled(sample) for sample in samples[:: -(-len(samples) // MAX_PICTURES)]]
    measured = {b.target: _ap(manifest, folder / b.file, pictures) for b in manifest.builds}
    kept = []
    for build in manifest.builds:
        reason = _reason(manifest, build, measured)
        if reason:
            say(f"refused: {build.target}: {reason}")
            (folder / build.file).unlink()
        else:
            kept.append(build)
    if not kept:
        raise GateError(f"{manifest.name}: no build passes its gates")
    found = [
        Measure(metric="ap", value=round(measured[b.target], 4), data=data, target=b.target)
        for b in kept
    ]
    return manifest.model_copy(update={"builds": kept, "evaluation": found})


def warn_of_licence(name: str, licence: str, *, say: Callable[[str], None]) -> None:
    """Say it when the release gate's list of licences will refuse the bundle."""
    found = check(Evidence(name, licence, 0), read_gates("release"))
    for verdict in found:
        if verdict.gate == "licence" and not verdict.passed:
            say(f"{name} cannot be released: {verdict.reason}")


def _reason(manifest: Manifest, build: Build, measured: dict[str, float]) -> str:
    if build.target == FLOAT_TARGET:
        return ""
    evidence = Evidence(
        f"{manifest.name} {build.target}",
        manifest.licence,
        build.size_bytes,
        ap=measured[build.target],
        ap_fp32=measured.get(FLOAT_TARGET),
    )
    return reason_to_refuse(check(evidence, read_gates("quantised")))


def _ap(manifest: Manifest, path: Path, pictures: list[Labelled]) -> float:
    predictor = BuildPredictor(path, Network.of(manifest))
    found = [predictor.predict([picture.pixels])[0] for picture in pictures]
    return accuracy(pictures, found, classes=range(len(manifest.classes))).ap


def _labelled(sample: Sample) -> Labelled:
    pixels = read_picture(sample.image)
    size = np.array([pixels.shape[1], pixels.shape[0]] * 2, np.float32)
    return Labelled(sample.image.name, pixels, sample.boxes * size, sample.classes)
