"""A closed window as the events that tell of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from shopfloor_contracts.events import (
    EventData,
    LineCount,
    OccupancyData,
    TrafficData,
    ZoneOccupancy,
)
from shopfloor_contracts.site import CameraSpec
from shopfloor_contracts.windows import Window
from shopfloor_edge.analytics.lines import Direction
from shopfloor_edge.analytics.windows import WindowSums
from shopfloor_edge.inference.choose import Chosen
from shopfloor_edge.vision.figures import further_events


@dataclass(frozen=True, slots=True)
class Basis:
    """What the figures of one camera rest on."""

    spec: CameraSpec
    model_digest: str
    chosen: Chosen | None = None
    """None where the runtime is not known."""

    def of(self, window: WindowSums) -> Window:
        """Return what every event of ``window`` has in common."""
        chosen = self.chosen
        return Window(
            window_start=datetime.fromtimestamp(window.start_s, UTC),
            window_s=window.window_s,
            coverage_ratio=round(window.coverage_ratio, 4),
            frames=window.frames,
            model_digest=self.model_digest,
            zone_version=self.spec.zone_version,
            backend=None if chosen is None else chosen.name,
            precision=None if chosen is None else chosen.precision,
            degraded=None if chosen is None else bool(chosen.degraded),
        )


def counted_zones(spec: CameraSpec) -> list[str]:
    """Return the zones whose head count is reported."""
    return [zone.name for zone in spec.zones if "occupancy" in zone.analytics]


def events_of(window: WindowSums, basis: Basis) -> list[EventData]:
    """Return the events of one camera's window; a quiet window has its events too."""
    rests_on = basis.of(window)
    shared = rests_on.model_dump()
    data: list[EventData] = []
    if window.crossings:
        data.append(TrafficData(**shared, lines=_line_counts(window)))
    if window.zones:
        data.append(OccupancyData(**shared, zones=_zone_figures(window)))
    return data + further_events(window, rests_on)


def _line_counts(window: WindowSums) -> list[LineCount]:
    return [
        LineCount(line=line, crossings_in=count[Direction.IN], crossings_out=count[Direction.OUT])
        for line, count in window.crossings.items()
    ]


def _zone_figures(window: WindowSums) -> list[ZoneOccupancy]:
    return [
        ZoneOccupancy(
            zone=zone,
            people_s=round(sums.people_s, 3),
            observed_s=round(window.observed_s, 3),
            people_max=sums.people_max,
            histogram_s=[round(seconds, 3) for seconds in sums.histogram_s],
        )
        for zone, sums in window.zones.items()
    ]
