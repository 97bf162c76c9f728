"""A one-class judge that has learnt the very product: what a station with one product has."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

from shopfloor_demo.pcb_good import as_seen
from shopfloor_edge.inspection.judges.anomaly import PatchNet
from shopfloor_edge.inspection.ports import Grey
from shopfloor_models.commands.one_class import Eyes, Wish, filled, make
from shopfloor_models.training.teacher import find_model

PICTURES = 24
"""Of the one good board, moved and noisy: the camera's first minute in front of good parts."""
BACKBONE = "yolox-nano"


def learner(folder: Path) -> Callable[[Grey], PatchNet]:
    """Return what learns a good part's product into folders below ``folder``; keeps the last."""
    eyes, known = Eyes(find_model(BACKBONE)), dict[str, PatchNet]()

    def net_of(good: Grey) -> PatchNet:
        name = hashlib.sha256(good.tobytes()).hexdigest()[:16]
        if name not in known:
            random = np.random.default_rng(1)
            parts = [filled(as_seen(good, random)) for _ in range(PICTURES)]
            make(eyes, parts, Wish(name), out=folder / name)
            # Each holds a runtime of its own.
            known.clear()
            known[name] = PatchNet(folder / name)
        return known[name]

    return net_of
