"""What values flow through a network on real pictures: the ranges that INT8 has to cover."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import helper

from shopfloor_models.export.letterbox import Pixels

Range = tuple[np.float32, np.float32]
SAMPLES = 1024
"""Values kept per tensor and picture; a hundred pictures give 100,000."""


@dataclass(frozen=True, slots=True)
class Observed:
    """Sampled values of each tensor, and its extremes."""

    values: dict[str, NDArray[np.float32]]
    extremes: dict[str, Range]

    def ranges(self, tail_ratio: float) -> dict[str, Range]:
        """Return what covers all but ``tail_ratio`` of the values at each end; 0 covers all."""
        if tail_ratio == 0:
            return self.extremes
        cut = [tail_ratio, 1 - tail_ratio]
        found = {name: np.quantile(values, cut) for name, values in self.values.items()}
        return {name: (np.float32(low), np.float32(high)) for name, (low, high) in found.items()}


def open_session(model: onnx.ModelProto) -> Any:
    """Return a session of one thread on the CPU."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def observe(model: onnx.ModelProto, tensors: Sequence[str], pictures: Pixels) -> Observed:
    """Run the pictures ``(N, H, W, 3)`` and watch ``tensors``."""
    watched = onnx.ModelProto()
    watched.CopyFrom(model)
    del watched.graph.output[:]
    watched.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in tensors)
    session = open_session(watched)
    random = np.random.default_rng(1)
    kept: dict[str, list[NDArray[np.float32]]] = {name: [] for name in tensors}
    lows = dict.fromkeys(tensors, np.float32(0))
    highs = dict.fromkeys(tensors, np.float32(0))
    for picture in pictures:
        outputs = session.run(None, {session.get_inputs()[0].name: picture[None]})
        for name, values in zip(tensors, outputs, strict=True):
            flat = values.reshape(-1)
            kept[name].append(flat[random.integers(0, flat.size, SAMPLES)])
            lows[name] = min(lows[name], flat.min())
            highs[name] = max(highs[name], flat.max())
    values = {name: np.concatenate(parts) for name, parts in kept.items()}
    return Observed(values, {name: (lows[name], highs[name]) for name in tensors})
