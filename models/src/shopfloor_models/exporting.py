"""From a plain network on disk to a bundle's folder, without any training."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx

from shopfloor_contracts.bundles import Head, Manifest, Provenance
from shopfloor_models.bundle import MANIFEST, digest_of
from shopfloor_models.data.formats import slug
from shopfloor_models.data.samples import Sample, images_in
from shopfloor_models.delivery import Order, deliver, refuse_unknown
from shopfloor_models.errors import DataError, ExportError
from shopfloor_models.export.targets import expand
from shopfloor_models.files import write_whole
from shopfloor_models.golden_choice import with_golden
from shopfloor_models.training.teacher import find_model, manifest_json, read_manifest

FLOAT_TARGET = "onnx-fp32"


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be built of what."""

    network: Path
    name: str
    version: str
    licence: str
    classes: tuple[str, ...]
    targets: tuple[str, ...]
    calibration: tuple[Path, ...]
    """Pictures for integer builds and the golden clip; may be none."""
    provenance: Provenance | None = None
    head: Head = Head.YOLOX


def read_request(options: Namespace) -> Request:
    """Return what the command line asks for; what it leaves out comes from what is known.

    A name of the zoo brings its manifest, and so does ``network.onnx`` of a training run.

    Raises:
        DataError: the network isn't there, or nothing says what it finds.
        ExportError: a target is not known, or wants pictures that are not given.
    """
    targets = tuple(part for part in options.target.split(",") if part)
    refuse_unknown(targets)
    pictures = _pictures(options.calibration)
    if not pictures and set(expand(targets)) != {FLOAT_TARGET}:
        raise ExportError(
            f"{', '.join(t for t in targets if t != FLOAT_TARGET)}: "
            "integer builds want --calibration, a folder with pictures"
        )
    network, known = _network(options.network)
    if known is None and not (options.classes and options.licence):
        raise DataError(f"{network}: no manifest says what it finds: give --class and --licence")
    classes = options.classes or (known.classes if known else [])
    return Request(
        network,
        slug(options.name or (known.name if known else network.stem)),
        options.version or (known.version if known else "1"),
        options.licence or (known.licence if known else ""),
        tuple(classes),
        targets,
        pictures,
        known.provenance if known else None,
        known.head if known else Head.YOLOX,
    )


def export_builds(request: Request, out: Path, *, say: Callable[[str], None]) -> Manifest:
    """Write the builds, the golden clip where there are pictures, and the manifest.

    Raises:
        ExportError: the network is not a plain one, or does not find so many classes.
    """
    order = Order(
        name=request.name,
        version=request.version,
        licence=request.licence,
        classes=request.classes,
        input_px=_input_px(request),
        targets=request.targets,
        provenance=request.provenance or _provenance(request.network),
        head=request.head,
    )
    manifest = deliver(
        request.network, order, calibration=list(request.calibration), out=out, say=say
    )
    source = f"exported with shopfloor-models from {request.network.name}"
    manifest = manifest.model_copy(update={"source": source[:200]})
    if request.calibration:
        manifest = with_golden(manifest, out, _samples(request.calibration), say=say)
    write_whole(out / MANIFEST, manifest_json(manifest).encode())
    return manifest


def _pictures(folder: Path | None) -> tuple[Path, ...]:
    if folder is None:
        return ()
    if not folder.is_dir():
        raise DataError(f"{folder} is no folder")
    pictures = tuple(images_in(folder))
    if not pictures:
        raise DataError(f"{folder}: 0 pictures")
    return pictures


def _network(name: str) -> tuple[Path, Manifest | None]:
    path = Path(name)
    beside = path.parent / "bundle" / MANIFEST
    if path.is_file() and beside.is_file():
        return path, read_manifest(beside)
    if path.is_file():
        try:
            known = find_model(name)
        except DataError:
            # Listed nowhere: the command line has to say what it finds.
            return path, None
        return path, known.manifest
    if path.suffix:
        raise DataError(f"{path}: No such file or directory")
    known = find_model(name)
    return known.path, known.manifest


def _input_px(request: Request) -> tuple[int, int]:
    """Return width and height of a plain network's input, after a look at its output."""
    try:
        graph = onnx.load(request.network).graph
    except OSError as e:
        raise DataError(f"{request.network}: {e.strerror}") from e
    except Exception as e:  # protobuf's DecodeError has no public base class
        raise ExportError(f"{request.network}: not an ONNX model") from e
    shape = [int(side.dim_value) for side in graph.input[0].type.tensor_type.shape.dim]
    if len(shape) != 4 or shape[1] != 3 or 0 in shape[2:]:
        raise ExportError(
            f"{request.network}: input is {shape}, expected [1, 3, height, width] of a plain "
            "network, like network.onnx of a training run"
        )
    columns = [int(side.dim_value) for side in graph.output[0].type.tensor_type.shape.dim][-1:]
    expected = 5 + len(request.classes) if request.head is Head.YOLOX else 6
    if columns not in ([0], [expected]):
        raise ExportError(
            f"{request.network}: {columns} values a box, expected {expected} "
            f"for {len(request.classes)} classes"
        )
    return shape[3], shape[2]


def _provenance(network: Path) -> Provenance:
    digest, _ = digest_of(network)
    return Provenance(recipe=f"shopfloor-models export of a network with sha256 {digest}")


def _samples(pictures: Sequence[Path]) -> list[Sample]:
    nothing = np.zeros((0, 4), np.float32)
    none = np.zeros(0, np.int64)
    return [Sample(path, nothing, none, "calibration", "not known") for path in pictures]
