"""Run a build's file on still pictures; ONNX, and LiteRT where its extra is installed."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray

from shopfloor_contracts.bundles import Head, Manifest, Preprocess
from shopfloor_models.errors import DataError, MissingExtraError
from shopfloor_models.export.letterbox import Pixels, letterbox

Floats = NDArray[np.float32]
SCORE_MIN = 0.01
"""Lower than on a device: average precision counts the unsure detections too."""
STRIDES = (8, 16, 32)


class Predictor(Protocol):
    """Anything that finds objects."""

    def predict(self, images_bgr: list[Pixels]) -> list[Floats]:
        """Return ``(K, 6)`` per picture: xyxy in its pixels, score, class; best first."""


class Runner(Protocol):
    """A loaded file."""

    def tensor(self, pixels: Pixels, scale: float) -> NDArray[Any]:
        """Return the input for one ``(H, W, 3)`` picture, in the file's layout and type."""

    def run(self, tensor: NDArray[Any]) -> Floats:
        """Return the first output."""


@dataclass(frozen=True, slots=True)
class Network:
    """How a file's input is made and its output read."""

    head: Head
    preprocess: Preprocess
    unit_boxes: bool = False
    """Boxes are shares of the input instead of its pixels."""
    score_min: float = SCORE_MIN
    nms_iou: float = 0.65

    @classmethod
    def of(cls, manifest: Manifest, score_min: float = SCORE_MIN) -> Network:
        """Take over what a bundle's manifest says."""
        return cls(
            manifest.head, manifest.preprocess, score_min=score_min, nms_iou=manifest.nms_iou
        )


class BuildPredictor:
    """A build's file with its network's decoder, one thread."""

    def __init__(self, path: Path, network: Network) -> None:
        self._runner, self._network = open_runner(path), network

    def predict(self, images_bgr: list[Pixels]) -> list[Floats]:
        """Return ``(K, 6)`` per picture."""
        found = []
        for image in images_bgr:
            still = letterbox(image, self._network.preprocess)
            tensor = self._runner.tensor(still.pixels, self._network.preprocess.scale)
            rows = decode(self._runner.run(tensor)[0], self._network)
            rows[:, :4] = still.to_picture(rows[:, :4])
            found.append(rows)
        return found


class OnnxRunner:
    """onnxruntime; the layout is the file's own."""

    def __init__(self, path: Path) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
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
        if self._bytes:
            return pixels[None]
        return np.ascontiguousarray(pixels.transpose(2, 0, 1)[None], np.float32) * np.float32(scale)

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
        self._out = self._interpreter.get_output_details()[0]

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
        """Return the first output in real numbers."""
        self._interpreter.set_tensor(self._in["index"], tensor)
        self._interpreter.invoke()
        raw = self._interpreter.get_tensor(self._out["index"]).astype(np.float32)
        step, zero = self._out["quantization"]
        return np.asarray((raw - zero) * step if step else raw, np.float32)


def open_runner(path: Path) -> Runner:
    """Load a file by its suffix.

    Raises:
        DataError: it cannot be loaded, or its suffix is unknown.
        MissingExtraError: its runtime is not installed.
    """
    kinds: dict[str, type[OnnxRunner] | type[LiteRtRunner]] = {
        ".onnx": OnnxRunner,
        ".tflite": LiteRtRunner,
    }
    if path.suffix not in kinds:
        raise DataError(f"{path}: suffix {path.suffix!r}, expected one of {', '.join(kinds)}")
    return kinds[path.suffix](path)


def decode(raw: Floats, network: Network) -> Floats:
    """Turn one picture's raw rows into ``(K, 6)`` in input pixels, best first."""
    spec = network.preprocess
    if network.head is Head.END2END:
        rows = raw[raw[:, 4] >= network.score_min].copy()
        if network.unit_boxes:
            rows[:, :4] *= np.array([spec.width_px, spec.height_px] * 2, np.float32)
        return rows[np.argsort(-rows[:, 4], kind="stable")]
    scores = raw[:, 5:] * raw[:, 4:5]
    best = scores.argmax(axis=1)
    top = scores[np.arange(len(raw)), best]
    keep = np.flatnonzero(top >= network.score_min)
    grid, stride = _grid(spec.width_px, spec.height_px)
    centre = (raw[keep, :2] + grid[keep]) * stride[keep]
    half = np.exp(np.minimum(raw[keep, 2:4], 10.0)) * stride[keep] / 2
    rows = np.column_stack([centre - half, centre + half, top[keep], best[keep]])
    return _suppress(rows.astype(np.float32), network)


def _suppress(rows: Floats, network: Network) -> Floats:
    if len(rows) == 0:
        return rows
    xywh = rows[:, :4].astype(np.float64)
    xywh[:, 2:] -= xywh[:, :2]
    kept = cv2.dnn.NMSBoxesBatched(
        xywh.tolist(),
        rows[:, 4].tolist(),
        rows[:, 5].astype(int).tolist(),
        network.score_min,
        network.nms_iou,
    )
    chosen = rows[np.asarray(kept, np.int64)]
    return chosen[np.argsort(-chosen[:, 4], kind="stable")]


def _grid(width_px: int, height_px: int) -> tuple[Floats, Floats]:
    """Return cell corners ``(A, 2)`` in cells and strides ``(A, 1)`` in pixels."""
    cells, strides = [], []
    for stride in STRIDES:
        columns, rows = np.meshgrid(np.arange(width_px // stride), np.arange(height_px // stride))
        cells.append(np.stack([columns.ravel(), rows.ravel()], axis=1))
        strides.append(np.full((columns.size, 1), stride))
    return np.concatenate(cells).astype(np.float32), np.concatenate(strides).astype(np.float32)
