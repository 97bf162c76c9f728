"""A small network that says what a difference between a good part and a part is, and how large.

Trained from nothing on windows of two channels, the good part and the part. Reproducible by
seed on one thread.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shopfloor_models.errors import DataError
from shopfloor_models.training.torch_compat import import_torch

BOX_WEIGHT = 4.0
SMOOTHING = 0.05
"""Of the labels: a few are wrong, and scores near 1 would not tell the sure from the unsure."""


@dataclass(frozen=True, slots=True)
class Labelled:
    """Windows with what is in their middle."""

    windows: NDArray[np.uint8]
    """``(N, wide * side, wide * side, 2)``."""
    boxes: NDArray[np.float32]
    """``(N, 4)`` xyxy in shares of the window; of no meaning where the label is 0."""
    labels: NDArray[np.int64]
    """``(N,)``: 0 no defect, then the classes."""
    classes: tuple[str, ...]
    side_px: int
    """Of the network's input."""

    def __post_init__(self) -> None:
        count = len(self.windows)
        if not count or self.windows.ndim != 4 or self.windows.shape[3] != 2:
            raise DataError(f"windows are {list(self.windows.shape)}, expected [N, H, W, 2]")
        if self.boxes.shape != (count, 4) or self.labels.shape != (count,):
            raise DataError(
                f"boxes are {list(self.boxes.shape)} and labels {list(self.labels.shape)}, "
                f"expected [{count}, 4] and [{count}]"
            )
        if not 0 <= self.labels.min() <= self.labels.max() <= len(self.classes):
            raise DataError(
                f"labels go from {self.labels.min()} to {self.labels.max()}, "
                f"expected 0 to {len(self.classes)}"
            )

    @property
    def wide(self) -> float:
        """How many times wider the windows are than the network's input."""
        return float(self.windows.shape[1] / self.side_px)


@dataclass(frozen=True, slots=True)
class Settings:
    """One training run."""

    epochs: int = 36
    batch: int = 64
    learning_rate: float = 3e-3
    weight_decay: float = 1e-3
    seed: int = 1
    threads: int = 1
    half: bool = False
    """Compute in bfloat16: half of the time on processors that have instructions for it."""
    shift: float = 0.1
    """How far the input is moved about in a window, in shares of its side."""
    zoom: float = 1.2
    """Largest change of scale."""


def build_network(classes: int) -> Any:
    """Return the network: uint8 ``(N, side, side, 2)`` in, ``(N, 5 + classes)`` out.

    The output is that of the contracts' head ``differences``.
    """
    torch = import_torch()
    nn = torch.nn

    def block(given: int, made: int, stride: int) -> Any:
        return nn.Sequential(
            nn.Conv2d(given, made, 3, stride, 1, bias=False), nn.BatchNorm2d(made), nn.ReLU()
        )

    class Differences(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Sequential(
                block(3, 16, 1), block(16, 32, 2), block(32, 48, 2), block(48, 64, 1),
                block(64, 96, 2), block(96, 128, 2),
            )  # fmt: skip
            self.kind = nn.Linear(128, 1 + classes)
            self.box = nn.Sequential(
                nn.Conv2d(128, 32, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(4), nn.Flatten(),
                nn.Linear(512, 4),
            )  # fmt: skip
            self.drop = nn.Dropout(0.2)

        def forward(self, windows: Any) -> Any:
            pair = windows.permute(0, 3, 1, 2).float() / 255.0
            seen = self.body(torch.cat([pair, pair[:, 1:] - pair[:, :1]], 1))
            kind = self.kind(self.drop(seen.mean((2, 3))))
            return torch.cat([self.box(seen) + 0.5, kind], 1)

    return Differences()


def train(
    data: Labelled, settings: Settings, *, tell: Callable[[int, float], None] = lambda *_: None
) -> Any:
    """Return the trained network; ``tell`` hears each epoch's number and mean loss.

    Raises:
        MissingExtraError: torch is not installed.
    """
    torch = import_torch()
    torch.set_num_threads(settings.threads)
    torch.manual_seed(settings.seed)
    network = build_network(len(data.classes))
    windows = torch.from_numpy(data.windows)
    boxes, labels = torch.from_numpy(data.boxes), torch.from_numpy(data.labels)
    steps = math.ceil(len(labels) / settings.batch)
    optimizer = torch.optim.AdamW(
        network.parameters(), settings.learning_rate, weight_decay=settings.weight_decay
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, settings.learning_rate, total_steps=settings.epochs * steps
    )
    for epoch in range(settings.epochs):
        total = 0.0
        for chosen in torch.randperm(len(labels)).split(settings.batch):
            seen, where = moved_about(windows[chosen], boxes[chosen], data, settings)
            with torch.autocast("cpu", torch.bfloat16, enabled=settings.half):
                raw = network(seen)
            loss = _loss(raw.float(), where, labels[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item()
        tell(epoch, total / steps)
    return network.eval()


def moved_about(windows: Any, boxes: Any, data: Labelled, settings: Settings) -> tuple[Any, Any]:
    """Return inputs that are turned, mirrored, moved and zoomed, and their boxes likewise.

    Quarter turns and mirror images only: what is printed or etched lies along a grid.
    """
    torch = import_torch()
    count = len(windows)
    quarter = torch.randint(4, (count,)).float() * (math.pi / 2)
    mirror = torch.randint(2, (count,)).float() * 2 - 1
    scale = torch.exp((torch.rand(count) * 2 - 1) * math.log(settings.zoom))
    cos, sin = quarter.cos().round() * scale, quarter.sin().round() * scale
    turn = torch.stack([cos * mirror, -sin, sin * mirror, cos], 1).reshape(count, 2, 2)
    shift = (torch.rand(count, 2, 1) * 2 - 1) * settings.shift
    # grid_sample counts from the middle in half sides, boxes in sides.
    grid = torch.nn.functional.affine_grid(
        torch.cat([turn, shift * 2], 2) / data.wide,
        [count, 2, data.side_px, data.side_px],
        align_corners=False,
    )
    seen = torch.nn.functional.grid_sample(
        windows.permute(0, 3, 1, 2).float(), grid, padding_mode="border", align_corners=False
    )
    corners = ((boxes - 0.5) * data.wide).reshape(count, 2, 2).transpose(1, 2)
    back = torch.linalg.inv(turn) @ (corners - shift)
    where = torch.cat([back.min(2).values, back.max(2).values], 1) + 0.5
    return seen.permute(0, 2, 3, 1), where


def _loss(raw: Any, boxes: Any, labels: Any) -> Any:
    torch = import_torch()
    functional = torch.nn.functional
    kind = functional.cross_entropy(raw[:, 4:], labels, label_smoothing=SMOOTHING)
    real = labels > 0
    if not real.any():
        return kind
    box = functional.smooth_l1_loss(raw[real, :4], boxes[real], beta=0.05)
    return kind + BOX_WEIGHT * box
