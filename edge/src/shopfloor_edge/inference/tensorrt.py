"""TensorRT on NVIDIA GPUs: the engine is built here from the ONNX build, once, and cached.

One code path for TensorRT 10 (``tensorrt``, JetPack) and TensorRT for RTX (``tensorrt_rtx``):
networks are strongly typed, so that precision is what the ONNX says (Q/DQ nodes for INT8), and run
with ``set_tensor_address`` and ``execute_async_v3``.
"""

from __future__ import annotations

import hashlib
import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shopfloor_contracts.bundles import Build, Manifest
from shopfloor_edge.errors import BackendUnavailableError, BundleError
from shopfloor_edge.inference.detector import Detector
from shopfloor_edge.inference.engines import EngineCache, Fingerprint
from shopfloor_edge.inference.memory import DeviceMemory, open_memory
from shopfloor_edge.inference.onnx_file import cast_first, read_onnx
from shopfloor_edge.inference.ports import InputSpec, Raw
from shopfloor_edge.inference.zoo import cache_folder

MODULES = ("tensorrt", "tensorrt_rtx", "tensorrt_rtx_bindings")
"""The last is ``tensorrt_rtx`` as its own wheel installs it."""
BATCH = 1
"""The loop looks at one frame at a time."""


@dataclass(frozen=True, slots=True)
class Library:
    """TensorRT, under whichever name."""

    module: Any
    version: str
    """Module and version."""


def load_library() -> Library:
    """Import TensorRT.

    Raises:
        BackendUnavailableError: it is not installed.
    """
    for name in MODULES:
        try:
            module = importlib.import_module(name)
        except ImportError:
            continue
        return Library(module, f"{name} {module.__version__}")
    raise BackendUnavailableError(
        "tensorrt",
        f"none of the modules {', '.join(MODULES)} is installed; JetPack or NVIDIA brings one",
    )


def check_gpu() -> None:
    """Look for TensorRT and a GPU.

    Raises:
        BackendUnavailableError: one of them is not here.
    """
    load_library()
    open_memory().close()


def build_engine(library: Library, path: Path) -> bytes:
    """Build the engine of an NMS-free ONNX model; works without a GPU with TensorRT for RTX.

    Raises:
        BundleError: no ONNX, or one that TensorRT does not take; the message has its first reason.
    """
    trt = library.module
    builder = trt.Builder(trt.Logger(trt.Logger.ERROR))
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, trt.Logger(trt.Logger.INTERNAL_ERROR))
    if not parser.parse(cast_first(read_onnx(path))):
        reason = parser.get_error(0).desc().splitlines()[0] if parser.num_errors else "no reason"
        raise BundleError(f"{path}: TensorRT does not take it: {reason}")
    config = builder.create_builder_config()
    given = network.get_input(0)
    if given.shape[0] == -1:
        shape = (BATCH, *tuple(given.shape)[1:])
        profile = builder.create_optimization_profile()
        profile.set_shape(given.name, shape, shape, shape)
        config.add_optimization_profile(profile)
    engine = builder.build_serialized_network(network, config)
    if engine is None:
        raise BundleError(f"{path}: {library.version} builds no engine of it")
    return bytes(engine)


class TensorRtRuntime:
    """One engine with one execution context, its buffers on the GPU for as long as it lives."""

    name = "tensorrt"

    def __init__(self, path: Path, *, cache: EngineCache, memory: DeviceMemory) -> None:
        """Load the engine for ``path``, or build it, which takes minutes on a small device.

        Raises:
            BackendUnavailableError: TensorRT is not installed.
            BundleError: no engine can be built, or none that is built can be loaded.
        """
        library = load_library()
        trt, self._memory = library.module, memory
        sha256 = hashlib.sha256(read_onnx(path)).hexdigest()
        gpu = memory.gpu
        fingerprint = Fingerprint(sha256, library.version, gpu.name, gpu.capability)
        self._runtime = trt.Runtime(trt.Logger(trt.Logger.ERROR))
        self._engine = self._load(path, library, cache, fingerprint)
        self._context = self._engine.create_execution_context()
        given, result = self._name(trt.TensorIOMode.INPUT), self._name(trt.TensorIOMode.OUTPUT)
        sides = (BATCH, *tuple(self._engine.get_tensor_shape(given))[1:])
        self._context.set_input_shape(given, sides)
        kind = np.dtype(trt.nptype(self._engine.get_tensor_dtype(given)))
        self.input = InputSpec(kind.name, sides)
        found = np.dtype(trt.nptype(self._engine.get_tensor_dtype(result)))
        self._result = np.empty(tuple(self._context.get_tensor_shape(result)), found)
        self._addresses = (
            memory.allocate(int(np.prod(sides)) * kind.itemsize),
            memory.allocate(self._result.nbytes),
        )
        for name, address in zip((given, result), self._addresses, strict=True):
            self._context.set_tensor_address(name, address)

    def run(self, tensor: NDArray[Any]) -> Raw:
        """Return the first output."""
        sent = np.ascontiguousarray(tensor)
        self._memory.upload(self._addresses[0], sent)
        if not self._context.execute_async_v3(self._memory.stream):
            raise BackendUnavailableError("tensorrt", "the GPU refused to run the engine")
        self._memory.download(self._addresses[1], self._result)
        return self._result.astype(np.float32)

    def _name(self, mode: Any) -> str:
        """Return the first input or output."""
        names = (self._engine.get_tensor_name(at) for at in range(self._engine.num_io_tensors))
        return next(str(name) for name in names if self._engine.get_tensor_mode(name) == mode)

    def _load(
        self, path: Path, library: Library, cache: EngineCache, fingerprint: Fingerprint
    ) -> Any:
        for _ in range(2):
            engine = cache.load_or_build(fingerprint, lambda: build_engine(library, path))
            loaded = self._runtime.deserialize_cuda_engine(engine)
            if loaded is not None:
                return loaded
            # A driver update can outdate an engine without any change in the fingerprint.
            cache.discard(fingerprint)
        raise BundleError(f"{path}: {library.version} does not load the engine that it built")


class TensorRtBackend(Detector):
    """A bundle's ONNX build on TensorRT."""

    def __init__(
        self,
        manifest: Manifest,
        path: Path,
        *,
        wanted: tuple[str, ...],
        threads: int = 1,  # noqa: ARG002 — the same call for every backend
        build: Build | None = None,
    ) -> None:
        """Load ``path``.

        Raises:
            BackendUnavailableError: TensorRT or a GPU is not here.
            BundleError: no ONNX, or its input or output is not what the manifest says.
        """
        load_library()
        cache = EngineCache(cache_folder() / "engines")
        runtime = TensorRtRuntime(path, cache=cache, memory=open_memory())
        super().__init__(manifest, path, runtime, wanted=wanted, build=build)
