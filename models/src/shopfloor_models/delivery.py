"""From a trained network to a bundle's folder: builds, manifest."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from shopfloor_contracts.bundles import Build, Head, Manifest, Preprocess, Provenance
from shopfloor_models.export.letterbox import load_stills
from shopfloor_models.export.onnx_fold import load_model
from shopfloor_models.export.targets import (
    TARGETS,
    Built,
    Source,
    Target,
    expand,
    make,
    refuse_uninstalled,
)
from shopfloor_models.files import write_whole
from shopfloor_models.training.teacher import manifest_json

CALIBRATION_PICTURES = 100


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
    head: Head = Head.YOLOX


def deliver(
    network: Path,
    order: Order,
    *,
    calibration: Sequence[Path],
    out: Path,
    say: Callable[[str], None] = lambda _line: None,
) -> Manifest:
    """Write builds and ``manifest.json`` into ``out``.

    Args:
        network: plain ONNX, float NCHW.
        order: its targets may be aliases.
        calibration: pictures that integer builds take their ranges from.
        out: the bundle's folder.
        say: is told what trying a build has shown.

    Raises:
        ExportError: a target is not known or cannot take the network.
        MissingExtraError: what makes a build is not installed.
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
    targets = expand(order.targets)
    source = _source(network, targets, spec, calibration)
    builds = []
    for name in targets:
        target = TARGETS[name]
        path = out / f"{order.name}-{name}{target.suffix}"
        built = make(name, source)
        write_whole(path, built.content)
        if built.report:
            write_whole(out / f"sensitivity-{name}.tsv", _sensitivity(built).encode())
        if target.verify is not None:
            say(target.verify(path))
        builds.append(_build(target, path))
    manifest = Manifest(
        name=order.name,
        version=order.version,
        task="detect",
        licence=order.licence,
        source=f"trained with shopfloor-models, seed {order.provenance.seed}",
        classes=list(order.classes),
        head=order.head,
        preprocess=spec,
        builds=builds,
        provenance=order.provenance,
    )
    write_whole(out / "manifest.json", manifest_json(manifest).encode())
    return manifest


def refuse_unknown(targets: Sequence[str]) -> None:
    """Raise for a target that cannot be made here, before anything is trained for it.

    Raises:
        ExportError: one is not known, or none at all is named.
        MissingExtraError: what makes it is not installed.
    """
    refuse_uninstalled(expand(targets))


def _source(
    network: Path, targets: Sequence[str], spec: Preprocess, calibration: Sequence[Path]
) -> Source:
    """Load the network, and pictures where a target wants some."""
    model = load_model(network)
    if not any(TARGETS[target].calibrated for target in targets):
        return Source(model)
    step = max(1, len(calibration) // CALIBRATION_PICTURES)
    return Source(model, load_stills(calibration[::step][:CALIBRATION_PICTURES], spec))


def _sensitivity(built: Built) -> str:
    """Return a line per layer, the most sensitive first: what quantising it alone costs."""
    layers = sorted(built.report, key=lambda one: -one.error)
    lines = ["layer\terror\tkept"]
    for one in layers:
        kept = "float" if one.layer in built.kept else "int8"
        lines.append(f"{one.layer}\t{one.error:.6g}\t{kept}")
    return "\n".join(lines) + "\n"


def _build(target: Target, path: Path) -> Build:
    content = path.read_bytes()
    return Build(
        target=target.name,
        file=path.name,
        sha256=hashlib.sha256(content).hexdigest(),
        size_bytes=len(content),
        layout=target.layout,
    )
