"""onnxruntime on the CPU: the default backend."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime

from shopfloor_contracts.bundles import Manifest
from shopfloor_edge.errors import BundleError
from shopfloor_edge.inference.heads import DECODERS, expected_shape, head_spec
from shopfloor_edge.inference.ports import Detections, Images


class OnnxBackend:
    """One session, ``threads`` threads, no spinning: cameras share the cores with decoding."""

    name = "onnxruntime"

    def __init__(
        self, manifest: Manifest, path: Path, *, wanted: tuple[str, ...], threads: int = 1
    ) -> None:
        """Load ``path``.

        Raises:
            BundleError: no ONNX, or its input or output is not what the manifest says.
        """
        self._spec = head_spec(manifest, wanted)
        self._preprocess = manifest.preprocess
        self._decode = DECODERS[manifest.head]
        self._session = _open(path, threads)
        self._input = self._session.get_inputs()[0].name
        self._check(path, manifest)

    def warmup(self) -> None:
        """Run one blank image."""
        self.infer(np.zeros(self._shape_of_images(1), np.uint8))

    def infer(self, images: Images) -> Detections:
        """Return detections of each image; a model with a fixed batch of 1 is run one by one."""
        if self._batch is not None and len(images) != self._batch:
            return np.concatenate([self.infer(image[None]) for image in images])
        raw = self._session.run(None, {self._input: self._tensor(images)})[0]
        return self._decode(raw, self._spec)

    def _tensor(self, images: Images) -> np.ndarray:
        if self._preprocess.layout == "nhwc-uint8":
            return images
        tensor = np.ascontiguousarray(images.transpose(0, 3, 1, 2), dtype=np.float32)
        if self._preprocess.scale != 1.0:
            tensor *= np.float32(self._preprocess.scale)
        return tensor

    def _shape_of_images(self, count: int) -> tuple[int, int, int, int]:
        return count, self._preprocess.height_px, self._preprocess.width_px, 3

    def _check(self, path: Path, manifest: Manifest) -> None:
        """Compare the file's input and output with the manifest, before any frame is lost on it."""
        found = self._session.get_inputs()[0]
        count, height, width, channels = self._shape_of_images(1)
        nchw = self._preprocess.layout == "nchw-float32"
        expected = [channels, height, width] if nchw else [height, width, channels]
        kind = "tensor(float)" if nchw else "tensor(uint8)"
        if found.type != kind or len(found.shape) != 4 or not _fits(found.shape[1:], expected):
            raise BundleError(
                f"{path}: input is {found.type} {found.shape}, "
                f"manifest {manifest.name} says {kind} [N, {', '.join(map(str, expected))}]"
            )
        self._batch = found.shape[0] if isinstance(found.shape[0], int) else None
        blank = np.zeros(self._shape_of_images(count), np.uint8)
        raw = self._session.run(None, {self._input: self._tensor(blank)})[0]
        rows, columns = expected_shape(manifest.head, self._spec)
        if raw.ndim != 3 or raw.shape[2] != columns or rows not in (None, raw.shape[1]):
            raise BundleError(
                f"{path}: output is {list(raw.shape)}, head {manifest.head} of manifest "
                f"{manifest.name} says [1, {'any' if rows is None else rows}, {columns}]"
            )


def _open(path: Path, threads: int) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(
            path.read_bytes(), options, providers=["CPUExecutionProvider"]
        )
    except OSError as e:
        raise BundleError(f"{path}: {e.strerror}") from e
    except Exception as e:  # onnxruntime raises classes of its own without a common base
        raise BundleError(f"{path}: not an ONNX model that onnxruntime can load") from e


def _fits(found: list[int | str | None], expected: list[int]) -> bool:
    pairs = zip(found, expected, strict=True)
    return all(not isinstance(size, int) or size == wanted for size, wanted in pairs)
