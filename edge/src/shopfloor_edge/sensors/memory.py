"""What a sensor's watch knows across a restart: baselines, charts, alerts that are raised."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError

from shopfloor_contracts.base import Wire
from shopfloor_edge.errors import JournalError

log = logging.getLogger(__name__)

FOLDER = "sensors"
MAX_BYTES = 50_000_000


class BaselineFigures(Wire):
    """One figure's healthy level, and where its charts stand."""

    centre: float
    spread: Annotated[float, Field(gt=0)]
    step: Annotated[float, Field(gt=0)]
    phi: Annotated[float, Field(ge=0, lt=1)]
    largest: Annotated[float, Field(ge=0)]
    high: float = 0.0
    low: float = 0.0
    mean: float = 0.0
    before: float | None = None


class SensorMemory(Wire):
    """Everything of one sensor. ``version`` is that of its figures and charts."""

    version: str
    last_s: float | None = None
    """Instant of the newest sample."""
    learnt: dict[str, list[float]] = Field(default_factory=dict)
    figures: dict[str, BaselineFigures] = Field(default_factory=dict)
    drifting: bool = False
    held: int = 0
    expected_s: float | None = None
    """Where the next stretch begins when none is missing."""
    raised: dict[str, float] = Field(default_factory=dict)
    """Rules that are raised, and since when (epoch)."""


def load(state: Path, sensor: str, version: str) -> SensorMemory | None:
    """Return what was saved; None where there is nothing, or of another configuration."""
    path = _path(state, sensor)
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ValueError(f"larger than {MAX_BYTES} bytes")
        memory = SensorMemory.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError, ValueError) as e:
        log.warning(
            "saved baseline is not understood, learning again",
            extra={"sensor": sensor, "reason": str(e).splitlines()[0]},
        )
        return None
    if memory.version != version:
        log.warning("sensor is configured otherwise, learning again", extra={"sensor": sensor})
        return None
    return memory


def save(state: Path, sensor: str, memory: SensorMemory) -> None:
    """Replace what was saved, durably.

    Raises:
        JournalError: the disk refuses.
    """
    path = _path(state, sensor)
    part = path.with_suffix(".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with part.open("w", encoding="utf-8") as file:
            json.dump(memory.model_dump(), file)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as e:
        raise JournalError(f"{path}: {e.strerror or e}") from e


def forget(state: Path, sensor: str) -> None:
    """Remove what was saved: the machine was mended or set otherwise."""
    _path(state, sensor).unlink(missing_ok=True)


def _path(state: Path, sensor: str) -> Path:
    return state / FOLDER / f"{sensor}.json"
