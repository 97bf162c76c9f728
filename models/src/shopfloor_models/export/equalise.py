"""Bring the channels of each activation to one size, so that one INT8 step suits them all.

A SiLU cannot be scaled through: silu(k x) is not k silu(x). But x sigmoid(x) can, when the sigmoid
reads x unscaled: the convolution's weights take k per channel, a 1 x 1 depthwise convolution takes
it back before the sigmoid, and whoever reads the product divides its weights by k. In float that
changes nothing. The idea is that of cross-layer equalisation (Nagel et al., "Data-free
quantization through weight equalization and bias correction", 2019), which knows ReLU only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from shopfloor_models.export.calibration import open_session
from shopfloor_models.export.letterbox import Pixels
from shopfloor_models.export.onnx_fold import prune

Sizes = NDArray[np.float32]
STRENGTH = 1.0
"""0 leaves the channels as they are, 1 makes them equal and the next weights as unequal."""
SILU_ENDS = 8.0
"""Below, SiLU is 0 for INT8: how far a channel reaches further down doesn't matter."""
PASSING = ("MaxPool", "Resize")
SMALLEST = 1e-3
UNSCALED = ":unscaled"
"""How a tensor's name goes on where its channels are taken back."""


def equalise(
    model: onnx.ModelProto, pictures: Pixels, *, strength: float = STRENGTH
) -> onnx.ModelProto:
    """Return a network that computes the same from channels of like size.

    Args:
        model: a prepared serving form with SiLU as Sigmoid and Mul.
        pictures: ``(N, H, W, 3)``; each channel's size is what it reaches on them.
    """
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    pairs = _silus(copy.graph)
    if not pairs:
        return copy
    reach = _channel_reach(copy, list(pairs), pictures)
    channels = _Channels(copy.graph, pairs, reach)
    factors = channels.factors(strength)
    for node in list(copy.graph.node):
        if node.op_type == "Conv" and node.input[0] in factors:
            _divide(copy.graph, node, factors[node.input[0]])
    for conv, product in pairs.items():
        _multiply(copy.graph, conv, factors[product])
    _sort(copy.graph)
    prune(copy.graph)
    return onnx.shape_inference.infer_shapes(copy)


def _silus(graph: onnx.GraphProto) -> dict[str, str]:
    """Return the product of each convolution's output with its own sigmoid, read by nobody else."""
    readers = Counter(name for node in graph.node for name in node.input)
    readers.update(value.name for value in graph.output)
    with_bias = [n for n in graph.node if n.op_type == "Conv" and len(n.input) == 3]
    convs = {node.output[0] for node in with_bias if readers[node.output[0]] == 2}
    gates = {n.output[0]: n.input[0] for n in graph.node if n.op_type == "Sigmoid"}
    found = {}
    for node in graph.node:
        if node.op_type == "Mul":
            for value, gate in (tuple(node.input), tuple(node.input)[::-1]):
                if value in convs and gates.get(gate) == value:
                    found[value] = node.output[0]
    return found


def _channel_reach(
    model: onnx.ModelProto, tensors: list[str], pictures: Pixels
) -> dict[str, Sizes]:
    """Return how far each channel ``(C,)`` goes from zero, on the average picture."""
    watched = onnx.ModelProto()
    watched.CopyFrom(model)
    del watched.graph.output[:]
    watched.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in tensors)
    session = open_session(watched)
    total = dict.fromkeys(tensors, np.float32(0))
    for picture in pictures:
        values = session.run(None, {session.get_inputs()[0].name: picture[None]})
        for name, value in zip(tensors, values, strict=True):
            low, high = value.min(axis=(0, 2, 3)), value.max(axis=(0, 2, 3))
            total[name] = total[name] + np.maximum(high, np.minimum(-low, SILU_ENDS))
    return {name: np.maximum(total[name] / len(pictures), SMALLEST) for name in tensors}


class _Channels:
    """Which channels must have one factor, because something adds or passes them on."""

    def __init__(
        self, graph: onnx.GraphProto, pairs: Mapping[str, str], reach: Mapping[str, Sizes]
    ) -> None:
        self._size: list[float] = []
        self._parent: list[int] = []
        self._frozen: set[int] = set()
        self._of: dict[str, NDArray[np.int64]] = {}
        products = {product: conv for conv, product in pairs.items()}
        for node in graph.node:
            out = node.output[0]
            if out in products:
                self._of[out] = self._begin(reach[products[out]])
            else:
                self._follow(node)
        for output in graph.output:
            self._freeze(output.name)

    def factors(self, strength: float) -> dict[str, Sizes]:
        """Return each tensor's factors ``(C,)``."""
        roots = [self._root(one) for one in range(len(self._parent))]
        largest: dict[int, float] = {}
        for one, root in enumerate(roots):
            largest[root] = max(largest.get(root, 0.0), self._size[one])
        still = {self._root(one) for one in self._frozen}
        factor = {r: 1.0 if r in still else size**-strength for r, size in largest.items()}
        return {
            name: np.array([factor[roots[one]] for one in numbers], np.float32)
            for name, numbers in self._of.items()
        }

    def _begin(self, sizes: Sizes) -> NDArray[np.int64]:
        first = len(self._parent)
        self._parent += range(first, first + len(sizes))
        self._size += sizes.tolist()
        return np.arange(first, first + len(sizes))

    def _follow(self, node: onnx.NodeProto) -> None:
        known = [self._of.get(name) for name in node.input]
        if node.op_type in PASSING and known[0] is not None:
            self._of[node.output[0]] = known[0]
        elif _joins_channels(node) and all(one is not None for one in known):
            self._of[node.output[0]] = np.concatenate([one for one in known if one is not None])
        elif node.op_type == "Add" and known[0] is not None and known[1] is not None:
            for a, b in zip(known[0], known[1], strict=True):
                self._parent[self._root(a)] = self._root(b)
            self._of[node.output[0]] = known[0]
        elif not self._can_divide(node):
            for name in node.input:
                self._freeze(name)

    def _can_divide(self, node: onnx.NodeProto) -> bool:
        """Say whether a reader's weights can take any factors: plain and depthwise ones can."""
        if node.op_type != "Conv":
            return False
        group = _attribute(node, "group", 1)
        return group in (1, len(self._of.get(node.input[0], ())))

    def _freeze(self, name: str) -> None:
        self._frozen.update(self._of.get(name, np.zeros(0, np.int64)).tolist())

    def _root(self, one: int) -> int:
        while self._parent[one] != one:
            one = self._parent[one]
        return int(one)


def _joins_channels(node: onnx.NodeProto) -> bool:
    return node.op_type == "Concat" and _attribute(node, "axis", 0) == 1


def _attribute(node: onnx.NodeProto, name: str, default: int) -> int:
    found = [helper.get_attribute_value(a) for a in node.attribute if a.name == name]
    return int(found[0]) if found else default


def _replace(
    graph: onnx.GraphProto, node: onnx.NodeProto, place: int, values: NDArray[Any]
) -> None:
    """Give ``node`` a constant of its own: others may read the one that it had."""
    name = f"{node.output[0]}:{place}:{node.input[place]}"
    graph.initializer.append(numpy_helper.from_array(values.astype(np.float32), name))
    node.input[place] = name


def _constant(graph: onnx.GraphProto, name: str) -> NDArray[Any]:
    return numpy_helper.to_array(next(c for c in graph.initializer if c.name == name))


def _divide(graph: onnx.GraphProto, node: onnx.NodeProto, factors: Sizes) -> None:
    """Let a convolution read channels that are ``factors`` larger."""
    weights = _constant(graph, node.input[1])
    depthwise = _attribute(node, "group", 1) != 1
    shape = (-1, 1, 1, 1) if depthwise else (1, -1, 1, 1)
    _replace(graph, node, 1, weights / factors.reshape(shape))


def _multiply(graph: onnx.GraphProto, name: str, factors: Sizes) -> None:
    """Let a convolution give channels ``factors`` larger, but not to its sigmoid."""
    conv = next(node for node in graph.node if name in node.output)
    gate = next(n for n in graph.node if n.op_type == "Sigmoid" and n.input[0] == name)
    weights, bias = (_constant(graph, one) for one in conv.input[1:])
    _replace(graph, conv, 1, weights * factors[:, None, None, None])
    _replace(graph, conv, 2, bias * factors)
    back = f"{name}{UNSCALED}"
    taken = (1 / factors).astype(np.float32).reshape(-1, 1, 1, 1)
    graph.initializer.append(numpy_helper.from_array(taken, f"{back}:weights"))
    graph.node.append(
        helper.make_node(
            "Conv",
            [name, f"{back}:weights"],
            [back],
            back,
            kernel_shape=[1, 1],
            group=len(factors),
        )
    )
    gate.input[0] = back


def _sort(graph: onnx.GraphProto) -> None:
    """Put each node after those whose output it reads."""
    waiting = [onnx.NodeProto.FromString(node.SerializeToString()) for node in graph.node]
    known = {c.name for c in graph.initializer} | {value.name for value in graph.input} | {""}
    done: list[onnx.NodeProto] = []
    while waiting:
        ready = [node for node in waiting if known.issuperset(node.input)]
        done += ready
        known.update(name for node in ready for name in node.output)
        waiting = [node for node in waiting if not known.issuperset(node.output)]
    del graph.node[:]
    graph.node.extend(done)
