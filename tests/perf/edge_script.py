"""The straightforward script that our pipeline is compared with: what a tutorial would write.

``cv2.VideoCapture``, a letterbox, ``blobFromImage`` where the model takes floats, onnxruntime,
NMS in NumPy, and ByteTrack of the package ``trackers``. The head is decoded only where a box is
likely. ``tuned`` is what somebody who knows the libraries would change: one thread for onnxruntime,
whose default is one per core that spins for work, and frames that are not inferred are decoded
(``grab``) but not converted, as ``video.read()`` in a loop does.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
from numpy.typing import NDArray

from shopfloor_contracts.bundles import Manifest

Array = NDArray[np.float32]


def run_script(
    clip: Path,
    manifest: Manifest,
    weights: Path,
    *,
    every: int,
    cpu_s: Callable[[], float],
    tuned: bool,
) -> tuple[float, int, int]:
    """Return CPU-seconds, frames decoded and frames inferred."""
    # Heavy, and not in the environment of the tests: see trackers-requirements.txt.
    import supervision  # noqa: PLC0415
    from trackers import ByteTrackTracker  # noqa: PLC0415

    options = onnxruntime.SessionOptions()
    if tuned:
        options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(weights), options)
    tracker = ByteTrackTracker(frame_rate=5.0)
    size = manifest.preprocess.width_px, manifest.preprocess.height_px
    grid, stride = make_grid(size)
    blob, _ = letterbox(np.zeros((9, 16, 3), np.uint8), size, manifest)
    session.run(None, {session.get_inputs()[0].name: blob})
    video, frames, inferred = cv2.VideoCapture(str(clip)), 0, 0
    begun_s = cpu_s()
    while video.grab():
        frames += 1
        if (frames - 1) % every:
            if not tuned:
                video.retrieve()
            continue
        inferred += 1
        blob, ratio = letterbox(np.asarray(video.retrieve()[1], np.uint8), size, manifest)
        raw = session.run(None, {session.get_inputs()[0].name: blob})[0][0]
        boxes, scores = decode(raw, grid, stride, manifest)
        tracker.update(
            supervision.Detections(
                xyxy=boxes / ratio, confidence=scores, class_id=np.zeros(len(boxes), int)
            )
        )
    return cpu_s() - begun_s, frames, inferred


def letterbox(
    picture: NDArray[np.uint8], size: tuple[int, int], manifest: Manifest
) -> tuple[NDArray[np.generic], float]:
    """Return the model's input and the scale."""
    ratio = min(size[0] / picture.shape[1], size[1] / picture.shape[0])
    inner = round(picture.shape[1] * ratio), round(picture.shape[0] * ratio)
    canvas = np.full((size[1], size[0], 3), 114, np.uint8)
    canvas[: inner[1], : inner[0]] = cv2.resize(picture, inner)
    if manifest.preprocess.layout == "nhwc-uint8":
        return canvas[None], ratio
    return cv2.dnn.blobFromImage(canvas), ratio


def make_grid(size: tuple[int, int]) -> tuple[Array, Array]:
    """Return YOLOX's cell corners and strides."""
    cells, strides = [], []
    for stride in (8, 16, 32):
        xs, ys = np.meshgrid(np.arange(size[0] // stride), np.arange(size[1] // stride))
        cells.append(np.stack([xs.ravel(), ys.ravel()], 1))
        strides.append(np.full((xs.size, 1), stride))
    return np.concatenate(cells).astype(np.float32), np.concatenate(strides).astype(np.float32)


def decode(raw: Array, grid: Array, stride: Array, manifest: Manifest) -> tuple[Array, Array]:
    """Return people's boxes and scores."""
    person = manifest.classes.index("person")
    scores = raw[:, 4] * raw[:, 5 + person]
    keep = scores >= manifest.score_min
    raw, scores = raw[keep], scores[keep]
    centre = (raw[:, :2] + grid[keep]) * stride[keep]
    half = np.exp(raw[:, 2:4]) * stride[keep] / 2
    boxes = np.concatenate([centre - half, centre + half], 1)
    kept = suppress(boxes, scores, manifest.nms_iou)
    return boxes[kept], scores[kept]


def suppress(boxes: Array, scores: Array, iou: float) -> list[int]:
    """Return the rows that greedy NMS keeps."""
    order, kept = scores.argsort()[::-1], []
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    while len(order):
        best, rest = int(order[0]), order[1:]
        kept.append(best)
        low = np.maximum(boxes[best, :2], boxes[rest, :2])
        high = np.minimum(boxes[best, 2:], boxes[rest, 2:])
        inner = np.prod(np.maximum(0, high - low), axis=1)
        order = rest[inner / (area[best] + area[rest] - inner) <= iou]
    return kept
