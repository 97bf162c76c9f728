"""torch on a CPU with a torchvision wheel that was built for CUDA."""

from __future__ import annotations

import importlib
from typing import Any

from shopfloor_models.errors import MissingExtraError

_KEPT: list[Any] = []


def import_torch() -> Any:
    """Return the torch module, ready for YOLOX.

    torchvision's published wheel registers its operators only beside a CUDA torch; importing it
    beside a CPU build fails on ``torchvision::nms``. Declaring the operators' signatures first is
    enough: training never runs them.

    Raises:
        MissingExtraError: torch or YOLOX is not installed.
    """
    try:
        torch = importlib.import_module("torch")
    except ImportError as e:
        raise MissingExtraError("torch", "train") from e
    if torch.version.cuda is None and not hasattr(torch.ops.torchvision, "nms"):
        library = torch.library.Library("torchvision", "DEF")
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _KEPT.append(library)
    try:
        importlib.import_module("yolox.models.yolox")
    except ImportError as e:
        raise MissingExtraError("pixeltable-yolox", "train") from e
    return torch
