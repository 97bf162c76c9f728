"""The demo's account of itself: ``report.json`` and whether it went well."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from shopfloor_demo.cloud_view import Stored
from shopfloor_edge.journal.state import State


@dataclass(frozen=True, slots=True)
class Report:
    """Totals of one run; the names are an interface."""

    frames: int
    duration_s: float
    crossings_in: int
    crossings_out: int
    events_committed: int
    events_stored: int
    events_duplicate: int
    uplink_bytes: int
    video_bytes: int
    vision_cpu_s: float
    uplink_ratio: float | None
    """Video bytes for one byte sent; None when nothing was sent."""
    first_count_s: float | None
    """From the start of the first process to the first crossing; None without one."""
    scene: str | None

    @property
    def complaints(self) -> list[str]:
        """Return what did not go well; empty for success."""
        found = []
        if self.crossings_in + self.crossings_out == 0:
            found.append("nobody crossed the line")
        if self.events_stored != self.events_committed:
            found.append(
                f"{self.events_stored} events are stored, {self.events_committed} were committed"
            )
        return found

    def write(self, path: Path) -> None:
        """Write it as JSON, complete or not at all."""
        partial = path.with_name(f".{path.name}.partial")
        partial.write_text(json.dumps(asdict(self), indent=2) + "\n")
        partial.replace(path)


@dataclass(frozen=True, slots=True)
class Measured:
    """What only the one who ran the processes knows."""

    started_at: float
    duration_s: float
    vision_cpu_s: float
    scene: Path


def build_report(state: State, stored: Stored, measured: Measured) -> Report:
    """Bring the device's, the cloud's and our own figures together."""
    video_bytes = sum(row.video_bytes for row in state.cameras)
    uplink_bytes = state.counters.get("uplink_bytes", 0)
    first = first_count_at(state)
    return Report(
        frames=sum(row.frames for row in state.cameras),
        duration_s=round(measured.duration_s, 2),
        crossings_in=sum(row.crossings_in for row in state.cameras),
        crossings_out=sum(row.crossings_out for row in state.cameras),
        events_committed=state.counters.get("events_committed", 0),
        events_stored=stored.events,
        events_duplicate=stored.duplicates,
        uplink_bytes=uplink_bytes,
        video_bytes=video_bytes,
        vision_cpu_s=round(measured.vision_cpu_s, 2),
        uplink_ratio=round(video_bytes / uplink_bytes, 1) if uplink_bytes else None,
        first_count_s=None if first is None else round(first - measured.started_at, 2),
        scene=str(measured.scene) if measured.scene.exists() else None,
    )


def first_count_at(state: State) -> float | None:
    """Return when the first person crossed a line, in seconds since the epoch."""
    return min((row.first_count_at for row in state.cameras if row.first_count_at), default=None)
