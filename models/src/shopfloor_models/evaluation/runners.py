"""Load a build's file into a runtime that runs here, one thread each."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray

from shopfloor_models.errors import DataError, MissingExtraError
from shopfloor_models.evaluation.decode import Floats
from shopfloor_models.export.letterbox import Pixels


class Runner(Protocol):
    """A loaded file."""

    def tensor(self, pixels: Pixels, scale: float) -> NDArray[Any]:
        """Return the input for one ``(H, W, 3)`` picture, in the file's layout and type."""

    def run(self, tensor: NDArray[Any]) -> Floats:
        """Return the output in real numbers, several side by side."""


class OnnxRunner:
    """onnxruntime; the layout is the file's own."""

    def __init__(self, path: Path, *, threads: int = 1) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        try:
            content = path.read_bytes()
            # onnxruntime ends the whole process on junk when other C++ libraries are loaded.
            onnx.load_model_from_string(content)
            self._session = onnxruntime.InferenceSession(
                content, options, providers=["CPUExecutionProvider"]
            )
        except OSError as e:
            raise DataError(f"{path}: {e.strerror}") from e
        except Exception as e:
            raise DataError(f"{path}: not an ONNX model that onnxruntime can load") from e
        given = self._session.get_inputs()[0]
        self.input_name, self._bytes = given.name, given.type == "tensor(uint8)"

    def tensor(self, pixels: Pixels, scale: float) -> NDArray[Any]:
        """Return uint8 NHWC for folded preprocessing, else float32 NCHW."""
        return _onnx_tensor(pixels, scale, as_bytes=self._bytes)

    def run(self, tensor: NDArray[Any]) -> Floats:
        """Return the first output."""
        return np.asarray(self._session.run(None, {self.input_name: tensor})[0], np.float32)


class LiteRtRunner:
    """LiteRT; quantised inputs and outputs are converted by the file's own scales."""

    def __init__(self, path: Path) -> None:
        try:
            runtime = importlib.import_module("ai_edge_litert.interpreter")
        except ImportError as e:
            raise MissingExtraError("ai-edge-litert", "litert") from e
        try:
            self._interpreter = runtime.Interpreter(str(path), num_threads=1)
            self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as e:
            raise DataError(f"{path}: {str(e).splitlines()[0]}") from e
        self._in = self._interpreter.get_input_details()[0]
        self._outputs = self._interpreter.get_output_details()

    def tensor(self, pixels: Pixels, scale: float) -> NDArray[Any]:
        """Return NHWC in the type of the file's input."""
        values = pixels[None].astype(np.float32) * np.float32(scale)
        kind, (step, zero) = self._in["dtype"], self._in["quantization"]
        if kind == np.float32:
            return values
        limits = np.iinfo(kind)
        quantised = np.round(values / (step or 1.0)) + zero
        return np.asarray(np.clip(quantised, limits.min, limits.max), kind)

    def run(self, tensor: NDArray[Any]) -> Floats:
        """Return the outputs in real numbers, side by side in the file's order."""
        self._interpreter.set_tensor(self._in["index"], tensor)
        self._interpreter.invoke()
        parts = [self._real(output) for output in self._outputs]
        return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=-1)

    def _real(self, output: dict[str, Any]) -> Floats:
        raw = self._interpreter.get_tensor(output["index"]).astype(np.float32)
        step, zero = output["quantization"]
        return np.asarray((raw - zero) * step if step else raw, np.float32)


class OpenVinoRunner:
    """OpenVINO on the CPU; it reads the ONNX builds as they are."""

    def __init__(self, path: Path) -> None:
        # The converter would report its own import to an analytics service, without being asked.
        absent: Any = None
        for name in ("openvino_telemetry", "openvino.tools.ovc"):
            sys.modules.setdefault(name, absent)
        try:
            openvino: Any = importlib.import_module("openvino")
        except ImportError as e:
            raise MissingExtraError("openvino", "openvino") from e
        options = {
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": 1,
            "INFERENCE_NUM_THREADS": 1,
            "INFERENCE_PRECISION_HINT": "f32",
        }
        try:
            model = openvino.Core().compile_model(str(path), "CPU", options)
        except RuntimeError as e:
            raise DataError(f"{path}: not a model that OpenVINO can compile") from e
        self._bytes = model.input(0).get_element_type().get_type_name() == "u8"
        self._request = model.create_infer_request()

    def tensor(self, pixels: Pixels, scale: float) -> NDArray[Any]:
        """Return uint8 NHWC for folded preprocessing, else float32 NCHW."""
        return _onnx_tensor(pixels, scale, as_bytes=self._bytes)

    def run(self, tensor: NDArray[Any]) -> Floats:
        """Return the first output."""
        self._request.infer({0: tensor}, share_inputs=True)
        # The request's buffer is written again by the next run.
        return np.array(self._request.get_output_tensor(0).data, np.float32)


def _onnx_tensor(pixels: Pixels, scale: float, *, as_bytes: bool) -> NDArray[Any]:
    if as_bytes:
        return pixels[None]
    return np.ascontiguousarray(pixels.transpose(2, 0, 1)[None], np.float32) * np.float32(scale)


RUNTIMES: dict[str, Callable[[Path], Runner]] = {
    "onnxruntime": OnnxRunner,
    "litert": LiteRtRunner,
    "openvino": OpenVinoRunner,
}
BY_SUFFIX = {".onnx": "onnxruntime", ".tflite": "litert"}


def open_runner(path: Path, runtime: str | None = None) -> Runner:
    """Load a file, by default with the runtime that its suffix asks for.

    Raises:
        DataError: it cannot be loaded, or its suffix is unknown.
        MissingExtraError: its runtime is not installed.
    """
    if path.suffix not in BY_SUFFIX:
        known = ", ".join(BY_SUFFIX)
        raise DataError(f"{path}: suffix {path.suffix!r}, expected one of {known}")
    return RUNTIMES[runtime or BY_SUFFIX[path.suffix]](path)
