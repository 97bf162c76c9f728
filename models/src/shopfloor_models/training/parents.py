"""Weights to begin with, taken from serving builds as well as from plain exports."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from shopfloor_models.errors import DataError

FOCUS = ((0, 0), (1, 0), (0, 1), (1, 1))
"""Row and column where each of YOLOX's four quarters begins, in its order."""


@dataclass(frozen=True, slots=True)
class Parent:
    """A trained network, and what its classes are."""

    path: Path
    classes: tuple[str, ...]
    origin: str = ""
    """Name and licence, as a manifest's provenance tells them."""

    def rows(self, wanted: Sequence[str]) -> tuple[int, ...]:
        """Return the parent's class for each wanted one; an unknown one begins as the first."""
        return tuple(self.classes.index(n) if n in self.classes else 0 for n in wanted)


def own_weights(name: str | None, *, suffix: str, licence: str) -> Parent | None:
    """Return a weights file of the operator's, for a trainer that cannot use the zoo's.

    Raises:
        DataError: ``name`` is no such file.
    """
    if name in (None, "none"):
        return None
    path = Path(str(name))
    if path.suffix != suffix or not path.is_file():
        raise DataError(f"{name}: expected a {suffix} file to begin with, or none")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return Parent(path, (), f"{path.name[:80]}, sha256 {digest[:16]} ({licence})")


def plain_weights(path: Path, folder: Path) -> Path:
    """Return a file whose first weights are Focus' own; ``path`` itself where they are.

    A serving build has Focus and the convolution after it merged into one of 6 x 6.
    """
    model = onnx.load(path)
    first = next((node for node in model.graph.node if node.op_type == "Conv"), None)
    weights = {value.name: value for value in model.graph.initializer}
    if first is None or first.input[1] not in weights:
        return path
    whole = numpy_helper.to_array(weights[first.input[1]])
    if whole.shape[1:] != (3, 6, 6):
        return path
    quarters = np.concatenate([whole[:, :, down::2, right::2] for down, right in FOCUS], axis=1)
    value = numpy_helper.from_array(np.ascontiguousarray(quarters), first.input[1])
    weights[first.input[1]].CopyFrom(value)
    out = folder / "parent.onnx"
    onnx.save(model, out)
    return out
