"""A backend out of a runtime and a manifest: tensors in, detections out, and checks at the start.

What differs between libraries is behind the port ``Runtime``; what does not is here, once.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shopfloor_contracts.bundles import Build, Manifest
from shopfloor_edge.errors import BundleError
from shopfloor_edge.inference.heads import DECODERS, expected_shape, head_spec
from shopfloor_edge.inference.ports import Detections, Images, InputSpec, Runtime


class Detector:
    """Runs one loaded model. Not thread-safe.

    Args:
        path: names the file in errors.
        wanted: classes of the manifest to keep.
        build: the file's entry in the manifest, where its layout differs from the bundle's.
    """

    def __init__(
        self,
        manifest: Manifest,
        path: Path,
        runtime: Runtime,
        *,
        wanted: tuple[str, ...],
        build: Build | None = None,
    ) -> None:
        """Compare the file with the manifest, before any frame is lost on it.

        Raises:
            BundleError: its input or output is not what the manifest says, or it does not detect.
        """
        if manifest.task != "detect":
            raise BundleError(f"{path}: {manifest.name} is made to {manifest.task}, not to detect")
        preprocess = manifest.preprocess
        self._runtime, self._head = runtime, manifest.head
        self._spec = head_spec(manifest, wanted)
        self._size = (preprocess.height_px, preprocess.width_px, 3)
        self._layout = (build.layout if build else None) or preprocess.layout
        self._scale = preprocess.scale
        self._batch = runtime.input.shape[0] if runtime.input.shape else None
        self._integers = _integers(runtime.input, preprocess.scale)
        self._check_input(path, manifest)
        self._check_output(path, manifest)

    @property
    def name(self) -> str:
        """Name of the runtime."""
        return self._runtime.name

    def warmup(self) -> None:
        """Run one blank image."""
        self.infer(np.zeros((1, *self._size), np.uint8))

    def infer(self, images: Images) -> Detections:
        """Return detections of each image; a model with a fixed batch is run in such pieces.

        Raises:
            ValueError: the images are not of the manifest's size.
        """
        if images.shape[1:] != self._size or images.dtype != np.uint8:
            raise ValueError(
                f"images are {images.dtype} {list(images.shape)}, "
                f"expected uint8 [N, {', '.join(map(str, self._size))}]"
            )
        count = self._batch or max(1, len(images))
        found = [self._infer(images[at : at + count]) for at in range(0, len(images), count)]
        if len(found) == 1:
            return found[0]
        return np.concatenate(found) if found else np.zeros((0, 300, 6), np.float32)

    def _infer(self, images: Images) -> Detections:
        count = len(images)
        if self._batch is not None and count < self._batch:
            blank = np.zeros((self._batch - count, *self._size), np.uint8)
            images = np.concatenate([images, blank])
        raw = self._runtime.run(self._tensor(images))
        return DECODERS[self._head](raw[:count], self._spec)

    def _tensor(self, images: Images) -> NDArray[Any]:
        if self._layout == "nhwc-uint8":
            return images
        if self._layout == "nhwc-int8":
            return self._integers[images]
        tensor = np.ascontiguousarray(images.transpose(0, 3, 1, 2), dtype=np.float32)
        if self._scale != 1.0:
            tensor *= np.float32(self._scale)
        return tensor

    def _check_input(self, path: Path, manifest: Manifest) -> None:
        height, width, channels = self._size
        planar = self._layout.startswith("nchw")
        size = [channels, height, width] if planar else [height, width, channels]
        kind, found = self._layout.partition("-")[2], self._runtime.input
        if found.kind != kind or len(found.shape) != 4 or not _fits(found.shape[1:], size):
            shape = ", ".join("N" if side is None else str(side) for side in found.shape)
            raise BundleError(
                f"{path}: input is {found.kind} [{shape}], "
                f"manifest {manifest.name} says {kind} [N, {', '.join(map(str, size))}]"
            )

    def _check_output(self, path: Path, manifest: Manifest) -> None:
        blank = np.zeros((self._batch or 1, *self._size), np.uint8)
        raw = self._runtime.run(self._tensor(blank))
        rows, columns = expected_shape(manifest.head, self._spec)
        if raw.ndim != 3 or raw.shape[2] != columns or rows not in (None, raw.shape[1]):
            raise BundleError(
                f"{path}: output is {list(raw.shape)}, head {manifest.head} of manifest "
                f"{manifest.name} says [1, {'any' if rows is None else rows}, {columns}]"
            )


def _integers(found: InputSpec, scale: float) -> NDArray[np.int8]:
    """Return the int8 input for each of the 256 pixel values: a look-up beats arithmetic."""
    values = np.round(np.arange(256) * scale / (found.step or 1.0)) + found.zero
    return np.asarray(np.clip(values, -128, 127), np.int8)


def _fits(found: tuple[int | None, ...], expected: list[int]) -> bool:
    return all(side in (None, wanted) for side, wanted in zip(found, expected, strict=True))
