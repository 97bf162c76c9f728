"""What good parts look like, as a bank of patches: PatchCore's memory, in NumPy.

Source: Roth et al.: Towards Total Recall in Industrial Anomaly Detection (CVPR 2022). Features
come from elsewhere, ``(N, C)`` float32 of patches. Only good parts are ever seen.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shopfloor_models.errors import DataError

F32 = NDArray[np.float32]
PROJECTED = 64
"""Dimensions in which the bank is chosen; distances survive a random projection well enough."""
EULER = 0.5772156649


@dataclass(frozen=True, slots=True)
class Memory:
    """The bank, in features that are made comparable first."""

    bank: F32
    """``(K, C)``: chosen patches, normalised."""
    mean: F32
    spread: F32
    """``(C,)`` each: a feature is normalised as ``(x - mean) / spread``."""

    def distances(self, patches: F32) -> F32:
        """Return ``(N,)``: how far each of ``(N, C)`` patches lies from the bank, per feature."""
        seen = (patches - self.mean) / self.spread
        near = (self.bank**2).sum(1) - 2 * seen @ self.bank.T
        squares = np.maximum((seen**2).sum(1) + near.min(1), 0)
        return np.asarray(np.sqrt(squares / patches.shape[1]), np.float32)


@dataclass(frozen=True, slots=True)
class Levels:
    """Distances from which a part is looked at, and from which it is failed."""

    review: float
    fail: float


def remember(patches: F32, size: int, *, seed: int = 1) -> Memory:
    """Choose ``size`` of ``(N, C)`` patches so that every other one lies near one of them.

    Greedy k-centre: each next patch is the one that lies farthest from all that are chosen.

    Raises:
        DataError: there are fewer patches than that.
    """
    if len(patches) < size:
        raise DataError(f"{len(patches)} patches of good parts, expected at least {size}")
    mean, spread = patches.mean(0), patches.std(0) + 1e-6
    seen = np.asarray((patches - mean) / spread, np.float32)
    random = np.random.default_rng(seed)
    small = seen
    if seen.shape[1] > PROJECTED:
        small = seen @ random.standard_normal((seen.shape[1], PROJECTED)).astype(np.float32)
    squares = (small**2).sum(1)
    far, at, chosen = np.full(len(small), np.inf, np.float32), 0, []
    for _ in range(size):
        chosen.append(at)
        far = np.minimum(far, squares + squares[at] - 2 * (small @ small[at]))
        at = int(far.argmax())
    return Memory(seen[chosen], mean, spread)


def levels(highest: F32, *, reviewed: float, failed: float) -> Levels:
    """Return the distances that so small a share of good parts exceeds somewhere.

    The highest of many patches follows Gumbel's distribution, fitted by its moments; so levels
    can be named that few of the parts at hand have reached.

    Args:
        highest: ``(N,)``: the highest distance on each good part that the bank does not hold.
        reviewed: share of good parts that a person may be asked about.
        failed: share of good parts that may be failed, smaller than ``reviewed``.

    Raises:
        DataError: shares that cannot be.
    """
    if not 0 < failed < reviewed < 1:
        raise DataError(
            f"shares of good parts are {failed:g} failed and {reviewed:g} reviewed, "
            "expected 0 < failed < reviewed < 1"
        )
    scale = max(float(highest.std(ddof=1)) * math.sqrt(6) / math.pi, 1e-6)
    mode = float(highest.mean()) - EULER * scale

    def exceeded_by(share: float) -> float:
        return mode - scale * math.log(-math.log1p(-share))

    return Levels(exceeded_by(reviewed), exceeded_by(failed))
