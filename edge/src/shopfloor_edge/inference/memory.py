"""A GPU's memory behind a small port: ``cuda-bindings`` where it is a wheel, ``pycuda`` on Jetson.

Both are imported only when an engine is about to run.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any, Protocol

from numpy.typing import NDArray

from shopfloor_edge.errors import BackendUnavailableError


@dataclass(frozen=True, slots=True)
class Gpu:
    """What an engine is built for."""

    name: str
    capability: str
    """Compute capability, as ``8.7``."""


class DeviceMemory(Protocol):
    """Memory and one stream of the first GPU; everything is freed with ``close``."""

    gpu: Gpu
    stream: int
    """Handle, for ``execute_async_v3``."""

    def allocate(self, size_bytes: int) -> int:
        """Return an address on the GPU."""
        ...

    def upload(self, address: int, array: NDArray[Any]) -> None:
        """Copy a contiguous array to the GPU, in the stream's order."""
        ...

    def download(self, address: int, array: NDArray[Any]) -> None:
        """Wait for the stream and fill a contiguous array."""
        ...

    def close(self) -> None:
        """Free everything."""
        ...


class CudaBindingsMemory:
    """Through ``cuda.bindings.runtime``."""

    def __init__(self) -> None:
        """Take the first GPU.

        Raises:
            BackendUnavailableError: the package, the driver or the GPU is not here.
        """
        try:
            self._cuda: Any = importlib.import_module("cuda.bindings.runtime")
        except ImportError as e:
            raise BackendUnavailableError("cuda-bindings", str(e), extra="tensorrt") from e
        self._check("cudaSetDevice", 0)
        found = self._check("cudaGetDeviceProperties", 0)
        self.gpu = Gpu(found.name.decode(), f"{found.major}.{found.minor}")
        self._stream = self._check("cudaStreamCreate")
        self.stream = int(self._stream)
        self._taken: list[int] = []

    def allocate(self, size_bytes: int) -> int:
        """Return an address on the GPU."""
        address = int(self._check("cudaMalloc", size_bytes))
        self._taken.append(address)
        return address

    def upload(self, address: int, array: NDArray[Any]) -> None:
        """Copy a contiguous array to the GPU."""
        kind = self._cuda.cudaMemcpyKind.cudaMemcpyHostToDevice
        here = array.ctypes.data
        self._check("cudaMemcpyAsync", address, here, array.nbytes, kind, self._stream)

    def download(self, address: int, array: NDArray[Any]) -> None:
        """Wait for the stream and fill a contiguous array."""
        kind = self._cuda.cudaMemcpyKind.cudaMemcpyDeviceToHost
        here = array.ctypes.data
        self._check("cudaMemcpyAsync", here, address, array.nbytes, kind, self._stream)
        self._check("cudaStreamSynchronize", self._stream)

    def close(self) -> None:
        """Free everything."""
        while self._taken:
            self._check("cudaFree", self._taken.pop())
        self._check("cudaStreamDestroy", self._stream)

    def _check(self, function: str, *arguments: object) -> Any:
        error, *values = getattr(self._cuda, function)(*arguments)
        if int(error) != 0:
            raise BackendUnavailableError("cuda-bindings", f"{function}: {error.name}")
        return values[0] if values else None


class PyCudaMemory:
    """Through ``pycuda``, in the context that TensorRT uses too."""

    def __init__(self) -> None:
        """Take the first GPU.

        Raises:
            BackendUnavailableError: the package, the driver or the GPU is not here.
        """
        try:
            self._cuda: Any = importlib.import_module("pycuda.driver")
        except ImportError as e:
            raise BackendUnavailableError("pycuda", str(e), extra="jetson") from e
        try:
            self._cuda.init()
            device = self._cuda.Device(0)
            self._context = device.retain_primary_context()
            self._context.push()
        except self._cuda.Error as e:
            raise BackendUnavailableError("pycuda", str(e)) from e
        major, minor = device.compute_capability()
        self.gpu = Gpu(device.name(), f"{major}.{minor}")
        self._stream = self._cuda.Stream()
        self.stream = int(self._stream.handle)
        self._taken: list[Any] = []

    def allocate(self, size_bytes: int) -> int:
        """Return an address on the GPU."""
        self._taken.append(self._cuda.mem_alloc(size_bytes))
        return int(self._taken[-1])

    def upload(self, address: int, array: NDArray[Any]) -> None:
        """Copy a contiguous array to the GPU."""
        self._cuda.memcpy_htod_async(address, array, self._stream)

    def download(self, address: int, array: NDArray[Any]) -> None:
        """Wait for the stream and fill a contiguous array."""
        self._cuda.memcpy_dtoh_async(array, address, self._stream)
        self._stream.synchronize()

    def close(self) -> None:
        """Free everything."""
        while self._taken:
            self._taken.pop().free()
        self._context.pop()


def open_memory() -> DeviceMemory:
    """Return the first adapter that finds a GPU.

    Raises:
        BackendUnavailableError: none does; the message says why for each.
    """
    reasons = []
    adapters: tuple[type[CudaBindingsMemory] | type[PyCudaMemory], ...]
    adapters = (CudaBindingsMemory, PyCudaMemory)
    for adapter in adapters:
        try:
            return adapter()
        except BackendUnavailableError as e:
            reasons.append(str(e))
    raise BackendUnavailableError("tensorrt", f"no GPU memory: {'; '.join(reasons)}")
