"""One camera's way from frame to figures: gate, preprocess, infer, track, count, aggregate."""

from __future__ import annotations

import time
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from shopfloor_contracts.bundles import Manifest
from shopfloor_contracts.events import (
    INFERENCE_EDGES_MS,
    OCCUPANCY_EDGES,
    SCORE_BUCKETS,
    EventData,
)
from shopfloor_contracts.rules import RuleSpec
from shopfloor_contracts.site import CameraSpec
from shopfloor_edge.analytics.lines import Crossing, Direction, LineCounter, Points, feet
from shopfloor_edge.analytics.shelf import Objects, SlotReading
from shopfloor_edge.analytics.windows import Reading, WindowAggregator, WindowSums
from shopfloor_edge.analytics.zones import ZoneCounter
from shopfloor_edge.cameras.health import HealthMonitor, HealthReport
from shopfloor_edge.cameras.ports import Frame, Planes
from shopfloor_edge.inference.choose import Chosen
from shopfloor_edge.inference.ports import InferenceBackend
from shopfloor_edge.inference.preprocess import Letterbox
from shopfloor_edge.tracking.bytetrack import ByteTracker, Tracks
from shopfloor_edge.vision.aggregates import Basis, counted_zones, events_of
from shopfloor_edge.vision.alerts import CameraRules, FrameFacts, RuleFacts
from shopfloor_edge.vision.clips import ClipRing
from shopfloor_edge.vision.clock import ReportedSpans
from shopfloor_edge.vision.evidence import SceneRecorder
from shopfloor_edge.vision.figures import analytics_of
from shopfloor_edge.vision.gate import MotionGate, Seen
from shopfloor_edge.vision.heat_periods import HeatPeriods
from shopfloor_edge.vision.metrics import Fate
from shopfloor_edge.vision.pictures import LivePictures

SURE = 0.5
"""A box with this score is somebody, though no track may have begun with it yet."""


@dataclass(slots=True)
class Totals:
    """Since the process started."""

    frames: int = 0
    """Inferred."""
    gated: int = 0
    crossings_in: int = 0
    crossings_out: int = 0
    people: int = 0
    first_count_at: float | None = None
    inference_histogram: list[int] = field(
        default_factory=lambda: [0] * (len(INFERENCE_EDGES_MS) + 1)
    )
    score_histogram: list[int] = field(default_factory=lambda: [0] * SCORE_BUCKETS)

    def inferred(self, inference_s: float, scores: NDArray[np.float32]) -> None:
        """Add a frame: how long it took, and how sure the detector was of what it found."""
        self.inference_histogram[bisect_right(INFERENCE_EDGES_MS, inference_s * 1000)] += 1
        for bucket in np.minimum(scores * SCORE_BUCKETS, SCORE_BUCKETS - 1).astype(int):
            self.score_histogram[int(bucket)] += 1


@dataclass(frozen=True, slots=True)
class Look:
    """What became of one frame."""

    fate: Fate
    aggregates: list[EventData]
    """Of windows that it ended."""
    crossings: list[Crossing] = field(default_factory=list)
    inference_s: float = 0.0
    facts: RuleFacts | None = None
    """For the rules; None of a frame that was not inferred, and where no rule is about frames."""
    at_s: float = 0.0
    """Seconds since the epoch."""


@dataclass(frozen=True, slots=True)
class Found:
    """Detections of one frame, in its pixels."""

    people: Objects
    products: Objects
    """Everything else that was asked for."""


_NOTHING = Objects(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), [])


class Samples(Protocol):
    """Who keeps samples for people (``vision.sampling``). Instants are seconds since the epoch."""

    def offer(self, planes: Planes, boxes: NDArray[np.floating] | None, at_s: float) -> None:
        """Take a frame and the boxes of people in it; None of one that was not inferred."""
        ...

    def saw(  # noqa: PLR0913 — everything that one frame says
        self,
        at_s: float,
        ids: NDArray[np.int64],
        points: NDArray[np.floating],
        *,
        size: tuple[int, int],
        crossings: Sequence[Crossing],
        zones: Mapping[str, int],
        slots: Mapping[str, SlotReading],
    ) -> None:
        """Take what was found on the frame that was offered last."""
        ...

    def abandon(self) -> None:
        """Give up what is half gathered."""
        ...


class CameraWatch:
    """Figures of one camera. Belongs to the inference loop's thread.

    Args:
        epoch_s: added to a frame's ``at_s`` gives seconds since the epoch.
        chosen: what finds the people; the events say it.
        rules: the site's; those of other cameras are passed over.
        clips: keeps the last seconds, masked, for evidence.
        pictures: shows people at the device what is seen, masked.
    """

    def __init__(  # noqa: PLR0913 — everything that one camera's figures rest on
        self,
        spec: CameraSpec,
        manifest: Manifest,
        *,
        model_digest: str,
        window_s: float,
        epoch_s: float,
        scene: SceneRecorder | None = None,
        chosen: Chosen | None = None,
        rules: Sequence[RuleSpec] = (),
        clips: ClipRing | None = None,
        pictures: LivePictures | None = None,
        heat_s: float = 0.0,
    ) -> None:
        self.spec, self.totals, self._scene = spec, Totals(), scene
        self.chosen, self.model_digest = chosen, model_digest
        self.samples: Samples | None = None
        self.clips, self._masks_people = clips, chosen is None or chosen.sees_still_people
        self._pictures = pictures
        self._basis, self._epoch_s = Basis(spec, model_digest, chosen), epoch_s
        self._health = HealthMonitor() if spec.picture_check else None
        self._classes = tuple(manifest.classes)
        self._rules = CameraRules(rules, spec)
        self._analytics = analytics_of(spec, ruled=self._rules.zones)
        self._letterbox = Letterbox(manifest.preprocess)
        self._gate = (
            MotionGate([(line.a, line.b) for line in spec.lines]) if spec.motion_gate else None
        )
        self._tracker = ByteTracker(fps=spec.fps)
        self._lines = [LineCounter(line.name, line.a, line.b) for line in spec.lines]
        counted = counted_zones(spec)
        self._zones = [
            ZoneCounter(zone.name, zone.polygon) for zone in spec.zones if zone.name in counted
        ]
        self._windows = WindowAggregator(
            lines=[line.name for line in spec.lines],
            zones=counted,
            edges=OCCUPANCY_EDGES,
            window_s=window_s,
            max_gap_s=max(1.0, 3.0 / spec.fps),
            analytics=self._analytics.factories(),
        )
        self._heat = HeatPeriods(heat_s)
        self._reported = ReportedSpans()
        self._reported_from_s: float | None = None

    @property
    def health(self) -> HealthReport:
        """Whether the picture is of any use."""
        return self._health.report if self._health is not None else HealthReport()

    def look(self, frame: Frame, backend: InferenceBackend) -> Look:
        """Take one frame: infer it, or find that nothing moved since the one inferred last."""
        at_s = self._time_of(frame.at_s)
        with frame.planes() as planes:
            if self._health is not None and not self._health.look(planes[0], frame.at_s).usable:
                return self._pass_over(at_s)
            if self._gate is not None and self._gate.skips(planes[0], frame.at_s):
                self.totals.gated += 1
                if self.samples is not None:
                    self.samples.offer(planes, None, at_s)
                return Look(Fate.GATED, self._aggregates(self._windows.hold(at_s)))
            image, placement = self._letterbox.from_i420(planes)
            begun_s = time.perf_counter()
            rows = backend.infer(image[None])[0]
            inference_s = time.perf_counter() - begun_s
            # Best first, then zeros: see ``Detections``.
            rows = rows[: np.count_nonzero(rows[:, 4] > 0)]
            self.totals.inferred(inference_s, rows[:, 4])
            found = self._sort(placement.to_frame(rows[:, :4]), rows)
            people = found.people.boxes, np.asarray(found.people.scores)
            tracks = self._tracker.update(*people, at_s=frame.at_s)
            masks = self._keep(planes, people[0], tracks, frame.at_s)
            if self.samples is not None:
                self.samples.offer(planes, masks, at_s)
        points = feet(tracks.boxes)
        if self._gate is not None:
            seen = _seen(tracks, points, people[1])
            self._gate.saw(seen, size=frame.size, at_s=frame.at_s)
        crossings, counts = self._count(tracks, points, frame)
        readings = self._read(tracks, points, found, frame)
        if self.samples is not None:
            self.samples.saw(
                at_s,
                tracks.ids,
                points,
                size=frame.size,
                crossings=crossings,
                zones=counts,
                slots=self._analytics.shelf.readings(),
            )
        facts = None
        if self._rules.any:
            facts = self._rules.read(
                FrameFacts(tracks.ids, points, frame.size, frame.at_s, counts, crossings),
                self._analytics,
            )
        closed = self._windows.observe(at_s, crossings, counts, readings)
        return Look(Fate.INFERRED, self._aggregates(closed), crossings, inference_s, facts, at_s)

    def _pass_over(self, at_s: float) -> Look:
        """Count nothing on a picture of no use: its time is not covered, it is not zero people."""
        self.fail()
        return Look(Fate.USELESS, self._aggregates(self._windows.advance(at_s)))

    def _sort(self, boxes: NDArray[np.float32], rows: NDArray[np.float32]) -> Found:
        """Tell people from products: only people are tracked and masked."""
        if self._classes == ("person",):
            return Found(Objects(boxes, rows[:, 4], ["person"] * len(rows)), _NOTHING)
        labels = [self._classes[int(number)] for number in rows[:, 5]]
        is_person = np.array([label == "person" for label in labels], bool)
        people, products = (
            Objects(
                boxes[wanted],
                rows[wanted, 4],
                [label for label, keep in zip(labels, wanted, strict=True) if keep],
            )
            for wanted in (is_person, ~is_person)
        )
        return Found(people, products)

    def _keep(
        self, planes: Planes, boxes: NDArray[np.floating], tracks: Tracks, at_s: float
    ) -> NDArray[np.floating]:
        """Offer the frame to whoever keeps masked pictures; return the boxes to mask."""
        if self._scene is not None:
            self._scene.offer(planes, boxes, at_s)
        # A box around what moves leaves who stands still unmasked: then all is made coarse.
        masks = np.concatenate([boxes, tracks.boxes]) if self._masks_people else boxes[:0]
        if self.clips is not None:
            self.clips.offer(planes, masks, at_s)
        if self._pictures is not None:
            self._pictures.offer(planes, masks)
        return masks

    def _read(
        self, tracks: Tracks, points: Points, found: Found, frame: Frame
    ) -> dict[str, Reading]:
        readings = self._analytics.people(tracks.ids, points, size=frame.size, at_s=frame.at_s)
        if self.spec.slots:
            slots, _ = self._analytics.products(
                found.products, found.people, size=frame.size, at_s=frame.at_s
            )
            readings |= slots
        return readings

    def fail(self) -> None:
        """Take note that a frame could not be looked at."""
        if self._gate is not None:
            self._gate.forget()

    def begin(self, now_s: float) -> None:
        """Open the first window, so that a camera which never answers is reported as unseen."""
        self._windows.advance(self._reported.after(now_s))

    def settle(self, now_s: float) -> list[EventData]:
        """Return aggregates of windows that ended without a frame; ``now_s`` since the epoch."""
        return self._aggregates(self._windows.settle(self._reported.after(now_s)))

    def close(self) -> list[EventData]:
        """Return the aggregates of the window that is open; who is in a zone leaves it here."""
        for key, reading in self._analytics.close().items():
            for occurrence in reading.happened:
                self._windows.happened(key, occurrence)
        if self.clips is not None:
            self.clips.finish()
        if self.samples is not None:
            self.samples.abandon()
        window = self._windows.close()
        last = self._aggregates([window]) if window is not None else []
        return last + self._heat.close()

    def set_clock(self, epoch_s: float, now_s: float) -> list[EventData]:
        """Go on with another ``epoch_s``: the clock was set.

        The open window ends early, with the coverage that it has; its aggregates are returned.
        """
        if self.samples is not None:
            self.samples.abandon()
        window = self._windows.close()
        aggregates = self._aggregates([window]) if window is not None else []
        if window is not None and self._reported_from_s is not None:
            self._reported.add(self._reported_from_s, window.end_s)
        self._epoch_s, self._reported_from_s = epoch_s, None
        self.begin(now_s)
        return aggregates

    def _time_of(self, at_s: float) -> float:
        return self._reported.after(self._epoch_s + at_s)

    def _count(
        self, tracks: Tracks, points: Points, frame: Frame
    ) -> tuple[list[Crossing], dict[str, int]]:
        """Return the frame's crossings, and the head count of each zone."""
        if self._scene is not None:
            self._scene.trail(tracks.ids, points)
        crossings = [
            crossing
            for line in self._lines
            for crossing in line.update(tracks.ids, points, size=frame.size, at_s=frame.at_s)
        ]
        self._add_up(tracks, crossings)
        return crossings, {z.name: z.count(points, size=frame.size) for z in self._zones}

    def _add_up(self, tracks: Tracks, crossings: list[Crossing]) -> None:
        totals = self.totals
        totals.frames += 1
        totals.people = len(tracks.ids)
        came = sum(crossing.direction is Direction.IN for crossing in crossings)
        totals.crossings_in += came
        totals.crossings_out += len(crossings) - came
        if crossings and totals.first_count_at is None:
            totals.first_count_at = time.time()

    def _aggregates(self, windows: list[WindowSums]) -> list[EventData]:
        if not windows:
            return []
        # Time that leaps over a reported stretch passes its windows by: nothing was put in them.
        windows = [window for window in windows if not self._reported.cover(window.start_s)]
        if windows and self._reported_from_s is None:
            self._reported_from_s = windows[0].start_s
        return self._heat.take(data for w in windows for data in events_of(w, self._basis))


def _seen(tracks: Tracks, points: Points, scores: NDArray[np.floating]) -> Seen:
    sure = int(np.count_nonzero(scores >= SURE))
    return Seen(
        ids=tracks.ids,
        feet=points,
        heights=tracks.boxes[:, 3] - tracks.boxes[:, 1],
        untracked=max(0, sure - len(tracks.ids)),
    )
