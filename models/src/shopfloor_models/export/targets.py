"""Which builds can be made here, for what, and how. A target that isn't in the table isn't made.

Whether a build is good enough to ship is decided by the gates, not here.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import onnx

from shopfloor_models.errors import ExportError
from shopfloor_models.export.letterbox import Pixels
from shopfloor_models.export.onnx_fold import fold
from shopfloor_models.export.quantise import (
    CPU,
    TENSORRT,
    Scheme,
    Sensitivity,
    float_layers,
    prepare,
    quantise,
    sensitivities,
    watch,
)

MIN_PICTURES = 100
MAX_PICTURES = 500
PROBES = 8
"""Pictures on which each layer's sensitivity is measured."""
TAIL_RATIO = 1e-4
"""Values beyond are clipped: the extremes of SiLU's input cost more resolution than they tell."""


@dataclass(frozen=True, slots=True)
class Source:
    """What a build is made from."""

    network: onnx.ModelProto
    """Float32, NCHW, as the trainer exports it."""
    pictures: Pixels
    """Calibration set ``(N, H, W, 3)``, letterboxed; empty where nothing is quantised."""
    swap_colours: bool = False
    scale: float = 1.0
    worst: int = 60
    """How many of the most sensitive layers stay float in an INT8 build."""


@dataclass(frozen=True, slots=True)
class Built:
    """A build, and for INT8 what each layer cost."""

    model: onnx.ModelProto
    report: list[Sensitivity]


@dataclass(frozen=True, slots=True)
class Target:
    """A kind of runtime."""

    name: str
    runs_on: str
    make: Callable[[Source], Built]


def make(name: str, source: Source) -> Built:
    """Make the build for the target called ``name``.

    Raises:
        ExportError: the target is unknown, the network doesn't suit it, or the calibration set is
            too small or too large.
    """
    if name not in TARGETS:
        raise ExportError(f"target {name!r} is unknown; known: {', '.join(sorted(TARGETS))}")
    return TARGETS[name].make(source)


def _float(source: Source) -> Built:
    return Built(fold(source.network, swap_colours=source.swap_colours, scale=source.scale), [])


def _int8(source: Source, scheme: Scheme) -> Built:
    count = len(source.pictures)
    if not MIN_PICTURES <= count <= MAX_PICTURES:
        raise ExportError(f"{count} calibration pictures, expected {MIN_PICTURES}–{MAX_PICTURES}")
    with tempfile.TemporaryDirectory() as folder:
        plain = prepare(_float(source).model, Path(folder))
    ranges = watch(plain, source.pictures).ranges(TAIL_RATIO)
    report = sensitivities(plain, ranges, source.pictures[:PROBES], scheme=scheme)
    kept = float_layers(plain, report, worst=source.worst)
    return Built(quantise(plain, ranges, scheme=scheme, keep_float=kept), report)


TARGETS = {
    target.name: target
    for target in (
        Target("onnx-fp32", "onnxruntime on any CPU; the reference", _float),
        Target("onnx-int8", "onnxruntime on a CPU, U8S8", lambda source: _int8(source, CPU)),
        Target("onnx-int8-tensorrt", "TensorRT, S8S8", lambda source: _int8(source, TENSORRT)),
    )
}
