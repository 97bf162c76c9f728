"""The permissive trainer: YOLOX's own loss, our loop. Reproducible by seed, resumable."""

from __future__ import annotations

import io
import math
import pickle
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from shopfloor_models.data.samples import Sample
from shopfloor_models.errors import DataError, TrainingError
from shopfloor_models.files import write_whole
from shopfloor_models.training.augment import (
    AugmentSettings,
    Labelled,
    disturb,
    mosaic,
    single,
)
from shopfloor_models.training.network import NetworkSpec, build_network, inherit
from shopfloor_models.training.torch_compat import import_torch

MAX_BOXES = 80
CLIP_NORM = 10.0


@dataclass(frozen=True, slots=True)
class TrainSettings:
    """One training run."""

    network: NetworkSpec
    input_px: tuple[int, int]
    """Width and height of the network's input; multiples of 32."""
    epochs: int
    batch: int = 16
    learning_rate: float = 3e-4
    weight_decay: float = 5e-4
    warmup_ratio: float = 0.05
    ema: float = 0.998
    seed: int = 1
    threads: int = 2
    plain_epochs_ratio: float = 0.2
    """The last epochs see plain pictures, without mosaics, and the L1 loss."""
    inherit_from: Path | None = None
    inherit_classes: tuple[int, ...] = ()
    keep_inherited: float = 0.0
    """Share of the inherited weights in the result (Wortsman et al., Robust fine-tuning, 2022)."""
    soft_scores: bool = False
    """Labels with a teacher's score ask for that objectness; without, for 1."""
    augment: AugmentSettings = field(default_factory=AugmentSettings)


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a run stands, told after each step."""

    epoch: int
    step: int
    steps: int
    """Per epoch."""
    loss: float


def train(
    samples: Sequence[Sample],
    settings: TrainSettings,
    *,
    checkpoint: Path,
    tell: Callable[[Progress], None] = lambda _progress: None,
) -> Any:
    """Train and return the averaged network; goes on from ``checkpoint`` if there is one.

    Raises:
        DataError: there is nothing to learn from, or a picture cannot be read.
        TrainingError: the loss is no number, or the checkpoint is of another run.
    """
    if len(samples) < settings.batch:
        raise DataError(f"{len(samples)} pictures, a batch needs {settings.batch}")
    torch = import_torch()
    torch.set_num_threads(settings.threads)
    torch.manual_seed(settings.seed)
    run = _Run(torch, settings, steps=len(samples) // settings.batch)
    first = run.restore(checkpoint)
    pictures = _Pictures(samples)
    for epoch in range(first, settings.epochs):
        plain = epoch >= settings.epochs * (1 - settings.plain_epochs_ratio)
        run.network.head.use_l1 = plain
        random = np.random.default_rng([settings.seed, epoch])
        for step, (images, targets) in enumerate(_batches(pictures, settings, random, plain)):
            loss = run.step(images, targets, epoch * run.steps + step)
            tell(Progress(epoch, step, run.steps, loss))
        run.save(checkpoint, epoch + 1)
    return run.result()


class _Run:
    """Network, optimiser and average."""

    def __init__(self, torch: Any, settings: TrainSettings, *, steps: int) -> None:
        self._torch, self._settings, self.steps = torch, settings, steps
        self.network = build_network(settings.network)
        if settings.inherit_from is not None:
            inherit(self.network, settings.inherit_from, classes=list(settings.inherit_classes))
        self.average = deepcopy(self.network).eval()
        self._inherited = deepcopy(self.network.state_dict())
        decayed = [p for p in self.network.parameters() if p.ndim > 1]
        plain = [p for p in self.network.parameters() if p.ndim <= 1]
        groups = [
            {"params": decayed, "weight_decay": settings.weight_decay},
            {"params": plain, "weight_decay": 0.0},
        ]
        self._optimiser = torch.optim.AdamW(groups, lr=settings.learning_rate)

    def step(self, images: NDArray[np.uint8], targets: NDArray[np.float32], number: int) -> float:
        for group in self._optimiser.param_groups:
            group["lr"] = self._rate(number)
        self.network.train()
        pixels = self._torch.from_numpy(images).permute(0, 3, 1, 2).float()
        losses = self.network(pixels, self._torch.from_numpy(targets))
        loss = losses["total_loss"]
        self._optimiser.zero_grad()
        loss.backward()
        self._torch.nn.utils.clip_grad_norm_(self.network.parameters(), CLIP_NORM)
        self._optimiser.step()
        self._follow(number)
        value = float(loss.detach())
        if not math.isfinite(value):
            raise TrainingError(f"the loss is {value} at step {number}: lower the learning rate")
        return value

    def result(self) -> Any:
        """Return the averaged network, drawn back towards what it inherited."""
        share = self._settings.keep_inherited
        with self._torch.no_grad():
            for name, value in self.average.state_dict().items():
                value.mul_(1 - share).add_(self._inherited[name], alpha=share)
        self.average.head.use_l1 = False
        return self.average.eval()

    def restore(self, path: Path) -> int:
        """Return the epoch to go on with."""
        if not path.exists():
            return 0
        try:
            state = self._torch.load(path, weights_only=True)
        except pickle.UnpicklingError as e:
            raise TrainingError(f"{path} is of another trainer; remove it to start anew") from e
        if state["settings"] != repr(self._settings):
            raise TrainingError(f"{path} is of a run with other settings; remove it to start anew")
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self._optimiser.load_state_dict(state["optimiser"])
        return int(state["epoch"])

    def save(self, path: Path, epoch: int) -> None:
        """Write the checkpoint, whole or not at all."""
        path.parent.mkdir(parents=True, exist_ok=True)
        state = {
            "settings": repr(self._settings),
            "epoch": epoch,
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self._optimiser.state_dict(),
        }
        # To memory first: on a full disk torch's own writer raises no OSError.
        content = io.BytesIO()
        self._torch.save(state, content)
        write_whole(path, content.getvalue())

    def _rate(self, number: int) -> float:
        total = self.steps * self._settings.epochs
        warm = max(1, int(total * self._settings.warmup_ratio))
        if number < warm:
            return self._settings.learning_rate * (number + 1) / warm
        share = (number - warm) / max(1, total - warm)
        return self._settings.learning_rate * (0.02 + 0.98 * (1 + math.cos(math.pi * share)) / 2)

    def _follow(self, number: int) -> None:
        # A young average follows faster, so that it does not remember the first weights.
        keep = min(self._settings.ema, (1 + number) / (10 + number))
        with self._torch.no_grad():
            mine = self.network.state_dict()
            for name, value in self.average.state_dict().items():
                value.mul_(keep).add_(mine[name], alpha=1 - keep)


class _Pictures:
    """Compressed pictures in memory, decoded when asked for."""

    def __init__(self, samples: Sequence[Sample]) -> None:
        self._samples = samples
        self._bytes = [np.fromfile(sample.image, np.uint8) for sample in samples]

    def __len__(self) -> int:
        return len(self._samples)

    def get(self, number: int) -> Labelled:
        sample = self._samples[number]
        image = cv2.imdecode(self._bytes[number], cv2.IMREAD_COLOR)
        if image is None:
            raise DataError(f"{sample.image} is no picture")
        size = np.array([image.shape[1], image.shape[0]] * 2, np.float32)
        columns = [sample.classes.astype(np.float32), sample.boxes * size, sample.label_scores()]
        boxes = np.column_stack(columns).astype(np.float32)
        return Labelled(np.asarray(image, np.uint8), boxes.reshape(-1, 6))


def _batches(
    pictures: _Pictures,
    settings: TrainSettings,
    random: np.random.Generator,
    plain: bool,  # noqa: FBT001
) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.float32]]]:
    """Yield an epoch's batches; the next ones are prepared while one is learnt from."""
    order = random.permutation(len(pictures))
    steps = len(pictures) // settings.batch
    ready: queue.Queue[Any] = queue.Queue(maxsize=4)
    stop = threading.Event()

    def prepare() -> None:
        try:
            for step in range(steps):
                chosen = order[step * settings.batch : (step + 1) * settings.batch]
                batch = [_example(pictures, int(n), settings, random, plain) for n in chosen]
                if stop.is_set():
                    return
                ready.put((np.stack([i for i, _ in batch]), np.stack([t for _, t in batch])))
            ready.put(None)
        except Exception as e:  # noqa: BLE001 — handed to the training loop, which raises it
            ready.put(e)

    thread = threading.Thread(target=prepare, name="pictures", daemon=True)
    thread.start()
    try:
        while (batch := ready.get()) is not None:
            if isinstance(batch, Exception):
                raise batch
            yield batch
    finally:
        stop.set()
        while not ready.empty():
            ready.get_nowait()


def _example(
    pictures: _Pictures,
    number: int,
    settings: TrainSettings,
    random: np.random.Generator,
    plain: bool,  # noqa: FBT001
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Return a picture ``(H, W, 3)`` and its targets ``(80, 6)``, as ``soft_loss`` takes them."""
    if not plain and random.random() < settings.augment.mosaic:
        others = random.integers(0, len(pictures), 3).tolist()
        items = [pictures.get(n) for n in [number, *others]]
        item = mosaic(items, settings.input_px, settings.augment, random)
    else:
        item = single(pictures.get(number), settings.input_px, settings.augment, random)
    item = disturb(item, settings.augment, random)
    targets = np.zeros((MAX_BOXES, 6), np.float32)
    boxes = item.boxes[:MAX_BOXES]
    targets[: len(boxes), 0] = boxes[:, 0]
    targets[: len(boxes), 1:3] = (boxes[:, 1:3] + boxes[:, 3:5]) / 2
    targets[: len(boxes), 3:5] = boxes[:, 3:5] - boxes[:, 1:3]
    targets[: len(boxes), 5] = boxes[:, 5] if settings.soft_scores else 1.0
    return item.image, targets
