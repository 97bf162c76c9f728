"""What a trainer is, and those that there are."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from shopfloor_contracts.bundles import Head
from shopfloor_models.data.samples import Sample
from shopfloor_models.errors import DataError
from shopfloor_models.export.torch_onnx import export_network
from shopfloor_models.training.network import YOLOX_NANO, NetworkSpec
from shopfloor_models.training.parents import Parent, plain_weights
from shopfloor_models.training.torch_compat import import_torch
from shopfloor_models.training.yolox import Progress, TrainSettings, train

Tell = Callable[[Progress], None]
BATCH = 16
FRESH_RATE = 3e-4
GENTLE_RATE = 1e-4
"""Inherited weights: 3e-4 took AP on 80 pictures from .76 to .02 in ten steps, this to .71."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What any trainer is asked for."""

    classes: tuple[str, ...]
    input_px: tuple[int, int]
    """Width and height, multiples of 32."""
    epochs: int
    seed: int = 1
    threads: int = 2
    parent: Parent | None = None
    soft_scores: bool = False
    """Learn how sure the labeller was, where the trainer can."""
    network_width: float = YOLOX_NANO
    """Channels relative to YOLOX's largest; a quarter is YOLOX-nano. Only of YOLOX networks."""


@dataclass(frozen=True, slots=True)
class Trained:
    """What a trainer leaves behind."""

    network: Path
    """Plain ONNX, ``(1, 3, H, W)`` float BGR 0–255 in."""
    head: Head = Head.YOLOX
    """How its output is read."""


class Trainer(Protocol):
    """Turns samples into a network."""

    @property
    def licence(self) -> str:
        """Licence of the code that trains, which may bind its weights."""
        ...

    @property
    def name(self) -> str:
        """As it is chosen on the command line."""
        ...

    @property
    def weights_suffix(self) -> str:
        """Of the files that training can begin with."""
        ...

    def train(self, samples: Sequence[Sample], plan: Plan, *, folder: Path, tell: Tell) -> Trained:
        """Return a plain network.

        A run that was killed goes on from ``checkpoint.pt`` in ``folder``.
        """
        ...


class YoloxTrainer:
    """Ours; Apache-2.0."""

    name = "yolox"
    licence = "Apache-2.0"
    weights_suffix = ".onnx"

    def train(self, samples: Sequence[Sample], plan: Plan, *, folder: Path, tell: Tell) -> Trained:
        """Train and export.

        Raises:
            MissingExtraError: torch is not installed.
            DataError: there is nothing to learn from.
            TrainingError: the checkpoint is of another run, or the loss is no number.
        """
        if not samples:
            raise DataError("0 pictures to learn from")
        import_torch()
        folder.mkdir(parents=True, exist_ok=True)
        settings = TrainSettings(
            network=NetworkSpec(classes=len(plan.classes), width=plan.network_width),
            input_px=plan.input_px,
            epochs=plan.epochs,
            learning_rate=GENTLE_RATE if plan.parent else FRESH_RATE,
            warmup_ratio=0.3 if plan.parent else 0.05,
            batch=min(BATCH, len(samples)),
            seed=plan.seed,
            threads=plan.threads,
            inherit_from=plain_weights(plan.parent.path, folder) if plan.parent else None,
            inherit_classes=plan.parent.rows(plan.classes) if plan.parent else (),
            soft_scores=plan.soft_scores,
        )
        with warnings.catch_warnings():
            # YOLOX writes torch's older names.
            warnings.simplefilter("ignore", FutureWarning)
            network = train(samples, settings, checkpoint=folder / "checkpoint.pt", tell=tell)
        path = folder / "network.onnx"
        export_network(network, plan.input_px, path)
        return Trained(path)


def _ultralytics() -> Trainer:
    # Imported when it is asked for: nobody else is to come near AGPL code.
    module = importlib.import_module("shopfloor_models.training.ultralytics")
    trainer: Trainer = module.UltralyticsTrainer()
    return trainer


TRAINERS: dict[str, Callable[[], Trainer]] = {"yolox": YoloxTrainer, "ultralytics": _ultralytics}
