"""From a trained network to a bundle's folder: builds, manifest."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import onnx

from shopfloor_contracts.bundles import Build, Head, Manifest, Preprocess, Provenance
from shopfloor_models.errors import ExportError
from shopfloor_models.export.letterbox import load_stills
from shopfloor_models.export.onnx_fold import fold_file
from shopfloor_models.export.quantise import (
    CPU,
    float_layers,
    prepare,
    quantise,
    sensitivities,
    watch,
)
from shopfloor_models.training.teacher import manifest_json

CALIBRATION_PICTURES = 100
SENSITIVITY_PICTURES = 2
TAIL_RATIO = 1e-4
FLOAT_LAYERS = 6


@dataclass(frozen=True, slots=True)
class Order:
    """What a bundle is to be called and to hold."""

    name: str
    version: str
    licence: str
    classes: tuple[str, ...]
    input_px: tuple[int, int]
    targets: tuple[str, ...]
    provenance: Provenance


def deliver(network: Path, order: Order, *, calibration: Sequence[Path], out: Path) -> Manifest:
    """Write builds and ``manifest.json`` into ``out``.

    Args:
        network: plain ONNX, float NCHW.
        calibration: pictures that integer builds take their ranges from.

    Raises:
        ExportError: a target is not known or cannot take the network.
    """
    refuse_unknown(order.targets)
    out.mkdir(parents=True, exist_ok=True)
    spec = Preprocess(
        width_px=order.input_px[0],
        height_px=order.input_px[1],
        layout="nhwc-uint8",
        colour="bgr",
        letterbox="top-left",
    )
    builds = []
    for target in order.targets:
        path = out / f"{order.name}-{target}.onnx"
        WRITERS[target](network, path, spec, calibration)
        builds.append(_build(target, path))
    manifest = Manifest(
        name=order.name,
        version=order.version,
        task="detect",
        licence=order.licence,
        source=f"trained with shopfloor-models, seed {order.provenance.seed}",
        classes=list(order.classes),
        head=Head.YOLOX,
        preprocess=spec,
        builds=builds,
        provenance=order.provenance,
    )
    (out / "manifest.json").write_text(manifest_json(manifest))
    return manifest


def refuse_unknown(targets: Sequence[str]) -> None:
    """Raise for a target that has no writer.

    Raises:
        ExportError: there is one, or none at all is named.
    """
    for target in targets or ("",):
        if target not in WRITERS:
            raise ExportError(f"target {target!r} is not known, expected {', '.join(WRITERS)}")


def _fold(network: Path, out: Path, _spec: Preprocess, _calibration: Sequence[Path]) -> None:
    fold_file(network, out)


def _int8(network: Path, out: Path, spec: Preprocess, calibration: Sequence[Path]) -> None:
    """Quantise the serving form; boxes' and scores' tail and the touchiest layers stay float."""
    step = max(1, len(calibration) // CALIBRATION_PICTURES)
    pictures = load_stills(calibration[::step][:CALIBRATION_PICTURES], spec)
    with tempfile.TemporaryDirectory(prefix="shopfloor-int8-") as name:
        folded = Path(name) / "folded.onnx"
        fold_file(network, folded)
        model = prepare(onnx.load(folded), Path(name))
    ranges = watch(model, pictures).ranges(TAIL_RATIO)
    found = sensitivities(model, ranges, pictures[:SENSITIVITY_PICTURES], scheme=CPU)
    keep = float_layers(model, found, worst=FLOAT_LAYERS)
    onnx.save(quantise(model, ranges, scheme=CPU, keep_float=keep), out)


Writer = Callable[[Path, Path, Preprocess, Sequence[Path]], None]
WRITERS: dict[str, Writer] = {"onnx-fp32": _fold, "onnx-int8": _int8}


def _build(target: str, path: Path) -> Build:
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    return Build(target=target, file=path.name, sha256=digest, size_bytes=len(content))
