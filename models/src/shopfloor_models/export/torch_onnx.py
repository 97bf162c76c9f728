"""From a trained network to plain ONNX: float32, NCHW, raw head, as the stack that trained it."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from shopfloor_models.errors import ExportError
from shopfloor_models.training.torch_compat import import_torch

OPSET = 17
STRIDE = 32


def export_network(network: Any, input_px: tuple[int, int], path: Path) -> None:
    """Write ``network`` for pictures of ``input_px`` (width, height), one at a time.

    Raises:
        ExportError: the size doesn't suit the network, or it has an operator that ONNX lacks.
        MissingExtraError: torch is not installed.
    """
    width, height = input_px
    if width % STRIDE or height % STRIDE:
        raise ExportError(f"input is {width} x {height} px, expected multiples of {STRIDE}")
    torch = import_torch()
    try:
        with warnings.catch_warnings():
            # The tracer says that sizes become constants, which is what a fixed input wants.
            warnings.simplefilter("ignore")
            torch.onnx.export(
                network.eval(),
                torch.zeros(1, 3, height, width),
                str(path),
                opset_version=OPSET,
                input_names=["images"],
                output_names=["output"],
                dynamo=False,
            )
    except torch.onnx.errors.UnsupportedOperatorError as e:
        raise ExportError(f"onnx: {e}") from e
