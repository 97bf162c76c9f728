"""The one table of targets: which builds can be made, for what, and how.

Whether a build is good enough to ship is decided by the gates, not here.
"""

from __future__ import annotations

import importlib.util
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import onnx

from shopfloor_models.errors import ExportError, MissingExtraError
from shopfloor_models.export import litert, litert_plan, tensorrt
from shopfloor_models.export.equalise import equalise
from shopfloor_models.export.letterbox import Pixels
from shopfloor_models.export.onnx_fold import fold
from shopfloor_models.export.quantise import (
    CPU,
    TENSORRT,
    Sensitivity,
    float_layers,
    prepare,
    quantise,
    sensitivities,
    watch,
)

MIN_PICTURES = 16
"""Fewer leave ranges to chance."""
MAX_PICTURES = 500
PROBES = 2
"""Pictures on which each layer's sensitivity is measured."""
FLOAT_ON_GPU = 20
"""Layers that stay float for TensorRT; equal channels leave fewer that need it."""
TAIL_RATIO = 1e-4
"""Values beyond are clipped: the extremes of SiLU's input cost more resolution than they tell."""


@dataclass(frozen=True, slots=True)
class Source:
    """What a build is made from."""

    network: onnx.ModelProto
    """Float32: NCHW as the trainer exports it, or its serving form."""
    pictures: Pixels = field(default_factory=lambda: np.zeros((0, 0, 0, 3), np.uint8))
    """Calibration set ``(N, H, W, 3)``, letterboxed; empty where nothing is quantised."""
    swap_colours: bool = False
    scale: float = 1.0
    worst: int = 60
    """How many of the most sensitive layers may stay float in an INT8 build that mixes."""


@dataclass(frozen=True, slots=True)
class Built:
    """A build's file, and what each layer cost where that was measured."""

    content: bytes
    report: list[Sensitivity] = field(default_factory=list)
    kept: frozenset[str] = frozenset()
    """Layers of the report that stay float."""


@dataclass(frozen=True, slots=True)
class Target:
    """A kind of runtime."""

    name: str
    runs_on: str
    make: Callable[[Source], Built]
    suffix: str = ".onnx"
    calibrated: bool = True
    """Pictures are needed for it."""
    layout: Literal["nhwc-int8"] | None = None
    """Where its input differs from the serving form's bytes."""
    module: str = ""
    """What has to be installed to make it; of the extra ``extra``."""
    extra: str = ""
    verify: Callable[[Path], str] | None = None
    """Try the file, and say what was found; raises ExportError."""


def make(name: str, source: Source) -> Built:
    """Make the build for the target called ``name``.

    Raises:
        ExportError: the target is unknown, the network doesn't suit it, or the calibration set is
            too small or too large.
        MissingExtraError: what makes it is not installed.
    """
    found = TARGETS[expand([name])[0]]
    count = len(source.pictures)
    if found.calibrated and not MIN_PICTURES <= count <= MAX_PICTURES:
        raise ExportError(
            f"{name}: {count} calibration pictures, expected {MIN_PICTURES}–{MAX_PICTURES}"
        )
    return found.make(source)


def expand(names: Sequence[str]) -> tuple[str, ...]:
    """Return targets for what people say, each once, in the order of the table.

    Raises:
        ExportError: a name is neither a target nor an alias, or there is none.
    """
    wanted: set[str] = set()
    for name in names or ("",):
        if name not in TARGETS and name not in ALIASES:
            known = ", ".join([*TARGETS, *ALIASES])
            raise ExportError(f"target {name!r} is unknown, expected one of {known}")
        wanted.update(ALIASES.get(name, (name,)))
    return tuple(name for name in TARGETS if name in wanted)


def refuse_uninstalled(names: Sequence[str]) -> None:
    """Raise for a target that cannot be made here.

    Raises:
        MissingExtraError: its extra is not installed.
    """
    for target in (TARGETS[name] for name in names):
        if target.module and importlib.util.find_spec(target.module) is None:
            raise MissingExtraError(target.module.replace("_", "-"), target.extra)


def _serving(source: Source) -> onnx.ModelProto:
    given = source.network.graph.input[0].type.tensor_type.elem_type
    if given == onnx.TensorProto.UINT8:
        return source.network
    return fold(source.network, swap_colours=source.swap_colours, scale=source.scale)


def _prepared(source: Source) -> onnx.ModelProto:
    with tempfile.TemporaryDirectory(prefix="shopfloor-int8-") as folder:
        return prepare(_serving(source), Path(folder))


def _float(source: Source) -> Built:
    return Built(_serving(source).SerializeToString())


def _int8_cpu(source: Source) -> Built:
    plain = _prepared(source)
    ranges = watch(plain, source.pictures).ranges(TAIL_RATIO)
    report = sensitivities(plain, ranges, source.pictures[:PROBES], scheme=CPU)
    kept = float_layers(plain, report, worst=source.worst)
    quantised = quantise(plain, ranges, scheme=CPU, keep_float=kept)
    return Built(quantised.SerializeToString(), report, frozenset(kept))


def _int8_tensorrt(source: Source) -> Built:
    tensorrt.refuse_unsupported(source.network.graph)
    # Symmetric ranges waste a bit on SiLU; like channels win it back.
    plain = equalise(tensorrt.cast_first(_prepared(source)), source.pictures)
    ranges = watch(plain, source.pictures).ranges(TAIL_RATIO)
    report = sensitivities(plain, ranges, source.pictures[:PROBES], scheme=TENSORRT)
    kept = float_layers(plain, report, worst=min(source.worst, FLOAT_ON_GPU))
    quantised = quantise(plain, ranges, scheme=TENSORRT, keep_float=kept)
    return Built(quantised.SerializeToString(), report, frozenset(kept))


def _try_engine(path: Path) -> str:
    try:
        report = tensorrt.check_engine(path)
    except MissingExtraError as e:
        return f"{tensorrt.TARGET}: no engine was tried: {e}"
    if report.refused is not None:
        raise ExportError(
            f"{tensorrt.TARGET}: TensorRT refuses operator {report.refused}: {report.reason}"
        )
    return f"{tensorrt.TARGET}: an engine of {report.size_bytes} bytes in {report.seconds} s"


def _int8_litert(source: Source) -> Built:
    prepared = _prepared(source)
    litert_plan.refuse_unsupported(prepared.graph)
    plain = equalise(litert_plan.split_head(prepared), source.pictures)
    return Built(litert.write(plain, watch(plain, source.pictures).ranges(TAIL_RATIO)))


TARGETS = {
    target.name: target
    for target in (
        Target(
            "onnx-fp32",
            "onnxruntime and OpenVINO on any CPU; the reference",
            _float,
            calibrated=False,
        ),
        Target("onnx-int8", "onnxruntime on a CPU, U8S8", _int8_cpu),
        Target(
            tensorrt.TARGET,
            "TensorRT, S8S8; the device builds its engine",
            _int8_tensorrt,
            verify=_try_engine,
        ),
        Target(
            litert_plan.TARGET,
            "LiteRT on a CPU; for a Coral Edge TPU after its compiler",
            _int8_litert,
            suffix=".tflite",
            layout="nhwc-int8",
            module="ai_edge_litert",
            extra="litert",
        ),
    )
}
ALIASES = {
    "cpu": ("onnx-fp32", "onnx-int8"),
    "coral": (litert_plan.TARGET,),
    "tensorrt": (tensorrt.TARGET,),
    # OpenVINO reads the ONNX; an IR of half floats is as fast and another file to keep.
    "openvino": ("onnx-fp32",),
}
