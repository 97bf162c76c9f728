"""OpenVINO on the CPU: Intel's runtime, reads the same ONNX builds. Extra ``openvino``."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shopfloor_contracts.bundles import Build, Manifest
from shopfloor_edge.errors import BackendUnavailableError, BundleError
from shopfloor_edge.inference.detector import Detector
from shopfloor_edge.inference.onnx_file import read_onnx
from shopfloor_edge.inference.ports import InputSpec, Raw

_KINDS = {"u8": "uint8", "f32": "float32", "i8": "int8"}


class OpenVinoRuntime:
    """One stream with ``threads`` threads, tuned for latency."""

    name = "openvino"

    def __init__(self, path: Path, *, threads: int) -> None:
        """Load ``path``.

        Raises:
            BackendUnavailableError: OpenVINO is not installed.
            BundleError: no ONNX, or one that OpenVINO cannot compile.
        """
        openvino = _import_quietly()
        options = {
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": 1,
            "INFERENCE_NUM_THREADS": threads,
            # Cameras decode on the same cores: the scheduler may move us.
            "ENABLE_CPU_PINNING": False,
            # Where the CPU has AMX the default is bfloat16, which nobody has evaluated.
            "INFERENCE_PRECISION_HINT": "f32",
        }
        content = read_onnx(path)
        try:
            core = openvino.Core()
            self._model = core.compile_model(core.read_model(content), "CPU", options)
            self._request = self._model.create_infer_request()
            # An input that nothing reads is dropped when a model is compiled.
            given = self._model.input(0)
        except RuntimeError as e:
            raise BundleError(f"{path}: not an ONNX model that OpenVINO can compile") from e
        kind = given.get_element_type().get_type_name()
        sides = (side.get_length() if side.is_static else None for side in given.partial_shape)
        self.input = InputSpec(_KINDS.get(kind, kind), tuple(sides))

    def run(self, tensor: NDArray[Any]) -> Raw:
        """Return the first output."""
        self._request.infer({0: np.ascontiguousarray(tensor)}, share_inputs=True)
        # The request's buffer is written again by the next run.
        return np.array(self._request.get_output_tensor(0).data, np.float32)


def _import_quietly() -> Any:
    """Import OpenVINO without its model converter.

    The converter reports its own import to an analytics service, without being asked; nothing but
    figures leaves a device. OpenVINO goes on without it.

    Raises:
        BackendUnavailableError: OpenVINO is not installed.
    """
    # None lets the import system answer that there is no such module.
    absent: Any = None
    for name in ("openvino_telemetry", "openvino.tools.ovc"):
        sys.modules.setdefault(name, absent)
    try:
        return importlib.import_module("openvino")
    except ImportError as e:
        raise BackendUnavailableError("openvino", str(e), extra="openvino") from e


class OpenVinoBackend(Detector):
    """A bundle's ONNX build on OpenVINO."""

    def __init__(
        self,
        manifest: Manifest,
        path: Path,
        *,
        wanted: tuple[str, ...],
        threads: int = 1,
        build: Build | None = None,
    ) -> None:
        """Load ``path``.

        Raises:
            BackendUnavailableError: OpenVINO is not installed.
            BundleError: no ONNX, or its input or output is not what the manifest says.
        """
        runtime = OpenVinoRuntime(path, threads=threads)
        super().__init__(manifest, path, runtime, wanted=wanted, build=build)
