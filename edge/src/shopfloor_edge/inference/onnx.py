"""onnxruntime on the CPU: the default backend."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from shopfloor_contracts.bundles import Build, Manifest
from shopfloor_edge.errors import BundleError
from shopfloor_edge.inference.detector import Detector
from shopfloor_edge.inference.onnx_file import read_onnx
from shopfloor_edge.inference.ports import InputSpec, Raw


class OnnxRuntime:
    """One session, ``threads`` threads, no spinning: cameras share the cores with decoding."""

    name = "onnxruntime"

    def __init__(self, path: Path, *, threads: int) -> None:
        """Load ``path``.

        Raises:
            BundleError: no ONNX, or one with operators that onnxruntime does not know.
        """
        self._session = _open(path, threads)
        given = self._session.get_inputs()[0]
        self._given = given.name
        kind = {"tensor(float)": "float32"}.get(given.type, given.type[7:-1])
        sides = tuple(side if isinstance(side, int) else None for side in given.shape)
        self.input = InputSpec(kind, sides)

    def run(self, tensor: NDArray[Any]) -> Raw:
        """Return the first output."""
        return np.asarray(self._session.run(None, {self._given: tensor})[0], np.float32)


class OnnxBackend(Detector):
    """A bundle's ONNX build on onnxruntime."""

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
            BundleError: no ONNX, or its input or output is not what the manifest says.
        """
        runtime = OnnxRuntime(path, threads=threads)
        super().__init__(manifest, path, runtime, wanted=wanted, build=build)


def _open(path: Path, threads: int) -> onnxruntime.InferenceSession:
    content = read_onnx(path)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as e:  # onnxruntime raises classes of its own without a common base
        raise BundleError(f"{path}: not an ONNX model that onnxruntime can load") from e
