"""One camera's way from frame to figures: preprocess, infer, track, count, aggregate."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime

from shopfloor_contracts.bundles import Manifest
from shopfloor_contracts.events import (
    OCCUPANCY_EDGES,
    EventData,
    LineCount,
    OccupancyData,
    TrafficData,
    ZoneOccupancy,
)
from shopfloor_contracts.site import CameraSpec
from shopfloor_edge.analytics.lines import Crossing, Direction, LineCounter, feet
from shopfloor_edge.analytics.windows import WindowAggregator, WindowSums
from shopfloor_edge.analytics.zones import ZoneCounter
from shopfloor_edge.cameras.ports import Frame
from shopfloor_edge.inference.ports import InferenceBackend
from shopfloor_edge.inference.preprocess import Letterbox
from shopfloor_edge.tracking.bytetrack import ByteTracker, Tracks
from shopfloor_edge.vision.evidence import SceneRecorder


@dataclass(slots=True)
class Totals:
    """Since the process started."""

    frames: int = 0
    crossings_in: int = 0
    crossings_out: int = 0
    people: int = 0
    first_count_at: float | None = None


class CameraWatch:
    """Figures of one camera. Belongs to the inference loop's thread.

    Args:
        epoch_s: added to a frame's ``at_s`` gives seconds since the epoch.
    """

    def __init__(
        self,
        spec: CameraSpec,
        manifest: Manifest,
        *,
        model_digest: str,
        window_s: float,
        epoch_s: float,
        scene: SceneRecorder | None = None,
    ) -> None:
        self.spec, self.totals, self._scene = spec, Totals(), scene
        self._model_digest, self._epoch_s = model_digest, epoch_s
        self._letterbox = Letterbox(manifest.preprocess)
        self._tracker = ByteTracker(fps=spec.fps)
        self._lines = [LineCounter(line.name, line.a, line.b) for line in spec.lines]
        self._zones = [ZoneCounter(zone.name, zone.polygon) for zone in spec.zones]
        self._windows = WindowAggregator(
            lines=[line.name for line in spec.lines],
            zones=[zone.name for zone in spec.zones],
            edges=OCCUPANCY_EDGES,
            window_s=window_s,
            max_gap_s=max(1.0, 3.0 / spec.fps),
        )
        self.crossings: list[Crossing] = []
        """Crossings of the newest frame."""

    def look(self, frame: Frame, backend: InferenceBackend) -> list[EventData]:
        """Take one frame; return the aggregates of windows that it ends."""
        with frame.planes() as planes:
            image, placement = self._letterbox.from_i420(planes)
            found = backend.infer(image[None])[0]
            found = found[found[:, 4] > 0]
            boxes = placement.to_frame(found[:, :4])
            if self._scene is not None:
                self._scene.offer(planes, boxes, frame.at_s)
        tracks = self._tracker.update(boxes, found[:, 4], at_s=frame.at_s)
        points = feet(tracks.boxes)
        if self._scene is not None:
            self._scene.trail(tracks.ids, points)
        self.crossings = [
            crossing
            for line in self._lines
            for crossing in line.update(tracks.ids, points, size=frame.size, at_s=frame.at_s)
        ]
        counts = {zone.name: zone.count(points, size=frame.size) for zone in self._zones}
        self._add_up(tracks)
        closed = self._windows.observe(self._epoch_s + frame.at_s, self.crossings, counts)
        return [data for window in closed for data in self._aggregates(window)]

    def settle(self, now_s: float) -> list[EventData]:
        """Return aggregates of windows that ended without a frame; ``now_s`` since the epoch."""
        closed = self._windows.settle(now_s)
        return [data for window in closed for data in self._aggregates(window)]

    def close(self) -> list[EventData]:
        """Return the aggregates of the window that is open."""
        window = self._windows.close()
        return self._aggregates(window) if window is not None else []

    def begin(self, now_s: float) -> None:
        """Open the first window, so that a camera which never answers is reported as unseen."""
        self._windows.advance(now_s)

    def _add_up(self, tracks: Tracks) -> None:
        totals = self.totals
        totals.frames += 1
        totals.people = len(tracks.ids)
        came = sum(crossing.direction is Direction.IN for crossing in self.crossings)
        totals.crossings_in += came
        totals.crossings_out += len(self.crossings) - came
        if self.crossings and totals.first_count_at is None:
            totals.first_count_at = time.time()

    def _aggregates(self, window: WindowSums) -> list[EventData]:
        shared = {
            "window_start": datetime.fromtimestamp(window.start_s, UTC),
            "window_s": window.window_s,
            "coverage_ratio": round(window.coverage_ratio, 4),
            "frames": window.frames,
            "model_digest": self._model_digest,
            "zone_version": self.spec.zone_version,
        }
        data: list[EventData] = []
        if self._lines:
            data.append(TrafficData(**shared, lines=_line_counts(window)))
        if self._zones:
            data.append(OccupancyData(**shared, zones=_zone_figures(window)))
        return data


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
