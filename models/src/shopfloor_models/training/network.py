"""The network: YOLOX-nano's shape (Ge et al., 2021) at any width and number of classes.

Convolutions carry biases in place of batch normalisation, so that weights which were exported
with the normalisation folded in can be inherited exactly.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from shopfloor_models.errors import TrainingError
from shopfloor_models.training.soft_loss import soft_head
from shopfloor_models.training.torch_compat import import_torch

DEPTH = 0.33
YOLOX_NANO = 0.25
WIDTHS = (0.125, 0.1875, 0.25, 0.375)
"""Channel counts that are multiples of eight at every level."""
CHANNELS = (256, 512, 1024)


@dataclass(frozen=True, slots=True)
class NetworkSpec:
    """What determines the network's shape."""

    classes: int
    width: float = YOLOX_NANO
    """YOLOX-nano's; narrower is cheaper and cannot inherit its weights."""


def build_network(spec: NetworkSpec) -> Any:
    """Return the module with fresh weights; ``forward(x, targets)`` gives losses in training."""
    torch = import_torch()
    pafpn = importlib.import_module("yolox.models.yolo_pafpn").YoloPafpn
    head = soft_head(importlib.import_module("yolox.models.yolo_head").YoloxHead)
    module = importlib.import_module("yolox.models.yolox").YoloxModule
    base = importlib.import_module("yolox.models.network_blocks").BaseConv
    network = module(
        pafpn(DEPTH, spec.width, in_channels=CHANNELS, depthwise=True),
        head(spec.classes, spec.width, in_channels=CHANNELS, depthwise=True),
    )
    for block in network.modules():
        if isinstance(block, base):
            old = block.conv
            block.conv = torch.nn.Conv2d(
                old.in_channels,
                old.out_channels,
                old.kernel_size,
                old.stride,
                old.padding,
                groups=old.groups,
                bias=True,
            )
            block.bn = torch.nn.Identity()
    network.head.initialize_biases(1e-2)
    network.head.decode_in_inference = False
    return network


def inherit(network: Any, path: Path, *, classes: list[int]) -> int:
    """Take the weights of an exported network of the same shape.

    Convolutions are paired in the order in which they run. The class predictions keep only the
    rows of ``classes``, numbered as in the exported network.

    Returns:
        How many convolutions were taken.

    Raises:
        TrainingError: the file holds another network.
    """
    torch = import_torch()
    ours, theirs = _in_order(network), _exported(path)
    if len(ours) != len(theirs):
        raise TrainingError(
            f"{path}: {len(theirs)} convolutions, the network to be trained has {len(ours)}"
        )
    predictions = {id(conv) for conv in network.head.cls_preds}
    with torch.no_grad():
        for number, (conv, (weight, bias)) in enumerate(zip(ours, theirs, strict=True)):
            if id(conv) in predictions:
                weight, bias = weight[classes], bias[classes]  # noqa: PLW2901
            if tuple(conv.weight.shape) != weight.shape:
                raise TrainingError(
                    f"{path}: convolution {number} is {list(weight.shape)}, "
                    f"expected {list(conv.weight.shape)}"
                )
            conv.weight.copy_(torch.from_numpy(weight.copy()))
            conv.bias.copy_(torch.from_numpy(bias.copy()))
    return len(ours)


def _in_order(network: Any) -> list[Any]:
    """Return the network's convolutions in the order in which they run."""
    torch = import_torch()
    ran: list[Any] = []
    hooks = [
        module.register_forward_hook(lambda conv, _inputs, _output: ran.append(conv))
        for module in network.modules()
        if isinstance(module, torch.nn.Conv2d)
    ]
    was_training = network.training
    network.eval()
    with torch.no_grad():
        network(torch.zeros(1, 3, 64, 64))
    network.train(was_training)
    for hook in hooks:
        hook.remove()
    return ran


def _exported(path: Path) -> list[tuple[NDArray[np.float32], NDArray[np.float32]]]:
    graph = onnx.load(path).graph
    values = {value.name: numpy_helper.to_array(value) for value in graph.initializer}
    return [
        (values[node.input[1]], values[node.input[2]])
        for node in graph.node
        if node.op_type == "Conv"
    ]
