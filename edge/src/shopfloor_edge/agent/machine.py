"""The machine as a heartbeat tells of it. Linux; what is not there is None."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from shopfloor_contracts.events import DeviceHealth
from shopfloor_edge.discipline import Discipline
from shopfloor_edge.journal.state import CameraRow

_COLDEST_C, _HOTTEST_C = -100.0, 200.0


@dataclass(frozen=True, slots=True)
class Machine:
    """Where the machine is read from; ``root`` is ``/`` except in tests."""

    folder: Path
    root: Path = Path("/")

    def health(self, cameras: Sequence[CameraRow], discipline: Discipline | None) -> DeviceHealth:
        """Return memory, disk, temperature and clock now, and the cameras' histograms added up."""
        followed = discipline is not None and discipline.synchronised
        return DeviceHealth(
            inference_histogram=_added([row.inference_histogram for row in cameras]),
            score_histogram=_added([row.score_histogram for row in cameras]),
            memory_available_bytes=self._memory_bytes(),
            disk_free_bytes=self._disk_bytes(),
            temperature_c=self._temperature_c(),
            clock_error_s=discipline.error_s if discipline is not None and followed else None,
        )

    def _memory_bytes(self) -> int | None:
        try:
            lines = (self.root / "proc/meminfo").read_text().splitlines()
            (line,) = [line for line in lines if line.startswith("MemAvailable:")]
            return int(line.split()[1]) * 1024
        except (OSError, ValueError):
            return None

    def _disk_bytes(self) -> int | None:
        try:
            return shutil.disk_usage(self.folder).free
        except OSError:
            return None

    def _temperature_c(self) -> float | None:
        found = []
        for zone in (self.root / "sys/class/thermal").glob("thermal_zone*/temp"):
            try:
                found.append(int(zone.read_text()) / 1000)
            except (OSError, ValueError):
                continue  # Some zones can be read only while their part is awake.
        believable = [degrees for degrees in found if _COLDEST_C < degrees < _HOTTEST_C]
        return max(believable, default=None)


def _added(histograms: Sequence[tuple[int, ...]]) -> list[int] | None:
    told = [histogram for histogram in histograms if histogram]
    return [sum(counts) for counts in zip(*told, strict=True)] if told else None
