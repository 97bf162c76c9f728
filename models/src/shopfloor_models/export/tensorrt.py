"""What TensorRT takes, and whether it builds an engine: tried here, without a GPU.

A device builds its own engine from the ONNX, so the ONNX is what ships. TensorRT for RTX's builder
runs on a machine without a GPU and tells what any TensorRT would refuse. It is NVIDIA's, closed,
and a tool of the factory only.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import onnx

from shopfloor_models.errors import ExportError, MissingExtraError

TARGET = "onnx-int8-tensorrt"
MODULES = ("tensorrt_rtx_bindings", "tensorrt_rtx")
"""The wheel's own name, and the one that NVIDIA's archive installs."""
TIMEOUT_S = 300.0
LACKS = frozenset(["NonMaxSuppression", "NonZero", "Unique", "Loop", "If", "Scan"])
"""Results of unknown size, and control flow: in a detector these are its own suppression."""


@dataclass(frozen=True, slots=True)
class EngineReport:
    """What the builder made of an ONNX file."""

    size_bytes: int = 0
    seconds: float = 0.0
    refused: str | None = None
    """The operator that it does not take, or its node's name; None where an engine was built."""
    reason: str = ""


def refuse_unsupported(graph: onnx.GraphProto) -> None:
    """Raise for the first operator that no TensorRT takes.

    Raises:
        ExportError: there is one; names it, its node and the target.
    """
    for node in graph.node:
        if node.op_type in LACKS:
            raise ExportError(
                f"{TARGET}: operator {node.op_type} ({node.name or node.output[0]}) is not "
                "supported; export the network without its suppression"
            )


def cast_first(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a serving form that casts its bytes before it turns them; same numbers.

    TensorRT takes uint8 as an input, and only to cast it.
    """
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    turn, cast = copy.graph.node[:2]
    if (turn.op_type, cast.op_type) != ("Transpose", "Cast"):
        return copy
    turn.op_type, cast.op_type = "Cast", "Transpose"
    attributes = [onnx.AttributeProto.FromString(a.SerializeToString()) for a in turn.attribute]
    del turn.attribute[:]
    turn.attribute.extend(cast.attribute)
    del cast.attribute[:]
    cast.attribute.extend(attributes)
    for value in copy.graph.value_info:
        if value.name == turn.output[0]:
            copy.graph.value_info.remove(value)
            break
    return copy


def check_engine(path: Path, *, timeout_s: float = TIMEOUT_S) -> EngineReport:
    """Build an engine in a process of its own: a crash of native code ends that one only.

    Raises:
        ExportError: that process crashed or took longer than ``timeout_s``.
        MissingExtraError: TensorRT for RTX is not installed.
    """
    if not any(importlib.util.find_spec(name) for name in MODULES):
        raise MissingExtraError("tensorrt-rtx", "tensorrt-rtx")
    try:
        done = subprocess.run(
            [sys.executable, "-m", "shopfloor_models.export.tensorrt", str(path)],
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired as e:
        raise ExportError(f"{TARGET}: no engine of {path.name} after {timeout_s:g} s") from e
    if done.returncode:
        last = (done.stderr.strip() or "no reason given").splitlines()[-1]
        raise ExportError(
            f"{TARGET}: the builder ended with {done.returncode} on {path.name}: {last}"
        )
    return EngineReport(**json.loads(done.stdout.splitlines()[-1]))


def build(path: Path) -> EngineReport:
    """Build an engine in this process."""
    trt: Any = _load()
    content = path.read_bytes()
    log = _collector(trt)
    builder = trt.Builder(log)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, log)
    if not parser.parse(content):
        error = parser.get_error(0)
        return EngineReport(refused=error.node_operator(), reason=error.desc().splitlines()[0])
    started_s = time.monotonic()
    engine = builder.build_serialized_network(network, builder.create_builder_config())
    seconds = time.monotonic() - started_s
    if engine is not None:
        return EngineReport(int(engine.nbytes), round(seconds, 1))
    reason = (log.errors or ["no reason given"])[0]
    named = [n for n in onnx.load_model_from_string(content).graph.node if n.name in reason]
    return EngineReport(refused=named[0].op_type if named else "unknown", reason=reason)


def _load() -> Any:
    for name in MODULES:
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    raise MissingExtraError("tensorrt-rtx", "tensorrt-rtx")


def _collector(trt: Any) -> Any:
    class Collector(trt.ILogger):  # type: ignore[misc]
        """Keeps errors; the builder names the node that nothing implements only there."""

        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.errors: list[str] = []

        def log(self, severity: Any, message: str) -> None:
            if severity in (trt.ILogger.ERROR, trt.ILogger.INTERNAL_ERROR):
                self.errors.append(message)

    return Collector()


if __name__ == "__main__":
    print(json.dumps(asdict(build(Path(sys.argv[1])))))
