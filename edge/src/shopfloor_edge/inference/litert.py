"""LiteRT (TFLite) on the CPU, and on a Coral Edge TPU through its delegate. Extra ``litert``."""

from __future__ import annotations

import ctypes
import importlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shopfloor_contracts.bundles import Build, Manifest
from shopfloor_edge.errors import BackendUnavailableError, BundleError
from shopfloor_edge.inference.detector import Detector
from shopfloor_edge.inference.ports import InputSpec, Raw

EDGE_TPU_LIBRARY = "libedgetpu.so.1"
_EDGE_TPU_OPERATOR = b"edgetpu-custom-op"
"""In a file that Coral's compiler made; such a file runs nowhere else."""


class LiteRtRuntime:
    """One interpreter; integers are turned into real numbers by the file's own scales."""

    def __init__(
        self, path: Path, *, threads: int, edge_tpu_library: str = EDGE_TPU_LIBRARY
    ) -> None:
        """Load ``path``, on the Edge TPU if it was compiled for it.

        Raises:
            BackendUnavailableError: LiteRT is not installed, or there is no Edge TPU.
            BundleError: no TFLite model, or one with operators that LiteRT does not know.
        """
        try:
            library: Any = importlib.import_module("ai_edge_litert.interpreter")
        except ImportError as e:
            raise BackendUnavailableError("litert", str(e), extra="litert") from e
        try:
            content = path.read_bytes()
        except OSError as e:
            raise BundleError(f"{path}: {e.strerror}") from e
        on_tpu = _EDGE_TPU_OPERATOR in content
        self.name = "litert-edgetpu" if on_tpu else "litert"
        delegates = [_edge_tpu(library, edge_tpu_library)] if on_tpu else []
        try:
            self._interpreter = library.Interpreter(
                model_content=content, num_threads=threads, experimental_delegates=delegates
            )
            self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as e:
            raise BundleError(f"{path}: not a TFLite model that LiteRT can load") from e
        given = self._interpreter.get_input_details()[0]
        self._given, self._outputs = given["index"], self._interpreter.get_output_details()
        self.input = _input(given)

    def run(self, tensor: NDArray[Any]) -> Raw:
        """Return the outputs in real numbers; several are put side by side, in the file's order."""
        self._interpreter.set_tensor(self._given, tensor)
        self._interpreter.invoke()
        parts = [self._real(output) for output in self._outputs]
        return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=-1)

    def _real(self, output: dict[str, Any]) -> Raw:
        values = self._interpreter.get_tensor(output["index"]).astype(np.float32)
        step, zero = output["quantization"]
        return np.asarray((values - zero) * np.float32(step) if step else values, np.float32)


class LiteRtBackend(Detector):
    """A bundle's TFLite build on LiteRT."""

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
            BackendUnavailableError: LiteRT or the Edge TPU that the file wants is not here.
            BundleError: no TFLite, or its input or output is not what the manifest says.
        """
        runtime = LiteRtRuntime(path, threads=threads)
        super().__init__(manifest, path, runtime, wanted=wanted, build=build)


def _input(given: dict[str, Any]) -> InputSpec:
    step, zero = given["quantization"]
    sides = tuple(int(side) for side in given["shape"])
    return InputSpec(np.dtype(given["dtype"]).name, sides, float(step) or 1.0, int(zero))


def check_edge_tpu(name: str = EDGE_TPU_LIBRARY) -> None:
    """Look for the Edge TPU's library.

    Raises:
        BackendUnavailableError: it cannot be loaded.
    """
    try:
        ctypes.CDLL(name)
    except OSError as e:
        raise BackendUnavailableError("litert-edgetpu", str(e)) from e


def _edge_tpu(library: Any, name: str) -> Any:
    # LiteRT's own attempt leaves a half-made object, which complains when it is collected.
    check_edge_tpu(name)
    try:
        return library.load_delegate(name)
    except (OSError, ValueError) as e:
        raise BackendUnavailableError("litert-edgetpu", "no Edge TPU answers") from e
