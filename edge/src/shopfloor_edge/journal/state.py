"""Camera state and counters, for whoever looks at the device: agent, console, terminal view."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from shopfloor_contracts.events import CameraStatus
from shopfloor_edge.journal.database import connect, reading, transaction


@dataclass(frozen=True, slots=True)
class CameraRow:
    """One camera as vision last described it. Instants are seconds since the epoch."""

    camera: str
    status: CameraStatus
    reason: str
    fps: float
    """Frames inferred a second."""
    people: int
    """In view now."""
    crossings_in: int
    crossings_out: int
    frames: int
    shed: int
    video_bytes: int
    first_count_at: float | None
    """When the first person crossed a line."""
    updated_at: float
    gated: int = 0
    """Frames watched without inference, because nothing moved."""
    load_ratio: float = 1.0
    """Share of due frames of all cameras that is looked at."""
    inference_histogram: tuple[int, ...] = ()
    """Frames per bucket of ``INFERENCE_EDGES_MS``, since vision started; empty where unknown."""
    score_histogram: tuple[int, ...] = ()
    """Detections per tenth of score, since vision started."""


@dataclass(frozen=True, slots=True)
class State:
    """Everything at one moment."""

    cameras: list[CameraRow]
    counters: dict[str, int]

    @property
    def outbox_rows(self) -> int:
        """Events that wait."""
        return self.counters.get("outbox_rows", 0)

    @property
    def outbox_bytes(self) -> int:
        """Their size."""
        return self.counters.get("outbox_bytes", 0)


class StateWriter:
    """Vision's handle. The state is worth nothing after a power cut, so it is not fsynced."""

    def __init__(self, folder: Path) -> None:
        self._connection = connect(folder, durable=False)

    def write(self, rows: Sequence[CameraRow]) -> None:
        """Replace every camera's row.

        Raises:
            JournalError: the file cannot be written now.
        """
        with transaction(self._connection):
            self._connection.execute("DELETE FROM cameras")
            self._connection.executemany(
                "INSERT INTO cameras VALUES (?, ?)",
                [(row.camera, json.dumps(asdict(row))) for row in rows],
            )

    def close(self) -> None:
        """Close the file."""
        self._connection.close()


def read_state(path: Path) -> State:
    """Read ``state.db`` without ever writing to it.

    Args:
        path: the file, or the folder that holds it.

    Raises:
        JournalError: it is absent, or cannot be read now.
    """
    with reading(path) as connection:
        states = connection.execute("SELECT state FROM cameras ORDER BY camera").fetchall()
        counters = dict(connection.execute("SELECT name, value FROM counters"))
    return State([_row(text) for (text,) in states], counters)


def _row(text: str) -> CameraRow:
    fields = json.loads(text)
    histograms = {
        name: tuple(fields.get(name, ())) for name in ("inference_histogram", "score_histogram")
    }
    return CameraRow(**{**fields, **histograms, "status": CameraStatus(fields["status"])})
