"""What a build finds on still pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from shopfloor_models.evaluation.decode import Floats, Network, decode
from shopfloor_models.evaluation.runners import open_runner
from shopfloor_models.export.letterbox import Pixels, letterbox

__all__ = ["BuildPredictor", "Floats", "Network", "Predictor"]


class Predictor(Protocol):
    """Anything that finds objects."""

    def predict(self, images_bgr: list[Pixels]) -> list[Floats]:
        """Return ``(K, 6)`` per picture: xyxy in its pixels, score, class; best first."""


class BuildPredictor:
    """A build's file with its network's decoder, one thread."""

    def __init__(self, path: Path, network: Network, *, runtime: str | None = None) -> None:
        """Load it.

        Raises:
            DataError: it cannot be loaded, or its suffix is unknown.
            MissingExtraError: its runtime is not installed.
        """
        self._runner, self._network = open_runner(path, runtime), network

    def predict(self, images_bgr: list[Pixels]) -> list[Floats]:
        """Return ``(K, 6)`` per picture."""
        found = []
        for image in images_bgr:
            still = letterbox(image, self._network.preprocess)
            tensor = self._runner.tensor(still.pixels, self._network.preprocess.scale)
            rows = decode(self._runner.run(tensor)[0], self._network)
            rows[:, :4] = still.to_picture(rows[:, :4])
            found.append(rows)
        return found
