"""Every metric of the vision process, for Prometheus on this device's loopback.

Labels are cameras and small fixed sets: a device has at most 64 cameras. Nothing here leaves the
device by itself, and no other interface is ever bound.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from shopfloor_contracts.events import CameraStatus
from shopfloor_edge.scrapes import MetricsServer, serve

SECONDS = (0.005, 0.01, 0.02, 0.035, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5)


class Fate(StrEnum):
    """What became of a frame that was due."""

    INFERRED = "inferred"
    GATED = "gated"
    """Nothing moved: watched, not inferred."""
    SHED = "shed"
    """A newer one came before anybody looked."""
    USELESS = "useless"
    """The lens was covered, or the picture otherwise of no use."""
    FAILED = "failed"
    """It could not be read or inferred."""


@dataclass(frozen=True, slots=True)
class CameraFigures:
    """One camera at one moment. Counts are running totals."""

    camera: str
    status: CameraStatus
    connects: int
    fallbacks: int
    shed: int
    waiting: int
    """Frames in the mailbox: 0 or 1."""
    gated_ratio: float
    """Of the frames looked at since the moment before."""
    frame_age_s: float
    """Since the newest frame that was looked at came."""
    flaps: int = 0
    """Times that it got lost within the last minutes."""
    usable: bool = True
    """Whether its picture is of any use."""


class VisionMetrics:
    """The process' registry; safe to scrape from any thread."""

    def __init__(self, cameras: Sequence[str]) -> None:
        self.registry = CollectorRegistry()
        self._frames = self._counter("frames", "Frames that were due, by fate", "fate")
        self._connects = self._counter("connects", "Times that the camera was opened and gave")
        self._losses = self._counter("losses", "Times that the camera was lost, by state", "status")
        self._fallbacks = self._counter(
            "decoder_fallbacks", "Openings with a slower decoder than the platform's"
        )
        self._crossings = self._counter("crossings", "Crossings counted")
        self._inference = self._histogram("inference_seconds", "One frame through the detector")
        self._latency = self._histogram(
            "latency_seconds", "From a live frame's arrival to what is counted in it"
        )
        self._state = self._gauge("camera_state", "1 for the state that the camera is in", "status")
        self._age = self._gauge("frame_age_seconds", "Age of the newest frame looked at")
        self._gated = self._gauge("gated_ratio", "Share of looked-at frames that were gated")
        self._flaps = self._gauge("flaps", "Times that the camera got lost in the last minutes")
        self._usable = self._gauge(
            "picture_usable", "0 while the lens is covered or the picture black, frozen or moved"
        )
        self._queue = self._gauge("queue_depth", "Frames that wait for inference")
        self._load = Gauge(
            "shopfloor_vision_load_ratio",
            "Share of due frames that are looked at; below 1 every camera is slowed evenly",
            registry=self.registry,
        )
        self._backend = Gauge(
            "shopfloor_vision_backend",
            "1 for the runtime that finds the people",
            ["backend", "precision"],
            registry=self.registry,
        )
        self._degraded = Gauge(
            "shopfloor_vision_degraded",
            "1 when another than the wanted model or runtime has to do",
            registry=self.registry,
        )
        self._seen: dict[str, CameraFigures] = {}
        # What every frame is counted in: to look a label up costs more than to count.
        self._fates = {(c, fate): self._frames.labels(c, fate) for c in cameras for fate in Fate}
        self._inferences = {camera: self._inference.labels(camera) for camera in cameras}
        self._latencies = {camera: self._latency.labels(camera) for camera in cameras}
        for camera in cameras:
            for status in CameraStatus:
                self._state.labels(camera, status)

    def runs_on(self, backend: str, precision: str, *, degraded: bool) -> None:
        """Say what finds the people; told once, when it is loaded."""
        self._backend.labels(backend, precision).set(1)
        self._degraded.set(degraded)

    def looked(self, camera: str, fate: Fate, *, inference_s: float, crossings: int) -> None:
        """Count one frame."""
        self._fates[camera, fate].inc()
        if fate is Fate.INFERRED:
            self._inferences[camera].observe(inference_s)
        if crossings:
            self._crossings.labels(camera).inc(crossings)

    def latency(self, camera: str, seconds: float) -> None:
        """Note how old a live frame was when its figures were there."""
        self._latencies[camera].observe(seconds)

    def describe(self, figures: Sequence[CameraFigures], *, load_ratio: float) -> None:
        """Take the state of every camera."""
        self._load.set(load_ratio)
        for now in figures:
            before = self._seen.get(now.camera)
            self._seen[now.camera] = now
            self._add_up(now, before)
            self._age.labels(now.camera).set(now.frame_age_s)
            self._gated.labels(now.camera).set(now.gated_ratio)
            self._queue.labels(now.camera).set(now.waiting)
            self._flaps.labels(now.camera).set(now.flaps)
            self._usable.labels(now.camera).set(now.usable)
            # Six labels twice a second and camera: set when they change.
            if before is None or before.status is not now.status:
                for status in CameraStatus:
                    self._state.labels(now.camera, status).set(status is now.status)

    def serve(self, port: int) -> MetricsServer:
        """Answer scrapes on loopback; raises ``MetricsPortError`` like ``scrapes.serve``."""
        return serve(self.registry, port)

    def _add_up(self, now: CameraFigures, before: CameraFigures | None) -> None:
        shed, connects, fallbacks = (
            (before.shed, before.connects, before.fallbacks) if before else (0, 0, 0)
        )
        if before is None or now.shed != shed:
            self._frames.labels(now.camera, Fate.SHED).inc(now.shed - shed)
        if before is None or now.connects != connects:
            self._connects.labels(now.camera).inc(now.connects - connects)
        if before is None or now.fallbacks != fallbacks:
            self._fallbacks.labels(now.camera).inc(now.fallbacks - fallbacks)
        lost = (CameraStatus.STALLED, CameraStatus.ABSENT, CameraStatus.MISCONFIGURED)
        if now.status in lost and (before is None or before.status is not now.status):
            self._losses.labels(now.camera, now.status).inc()

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(
            f"shopfloor_vision_{name}", text, ["camera", *labels], registry=self.registry
        )

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"shopfloor_vision_{name}", text, ["camera", *labels], registry=self.registry)

    def _histogram(self, name: str, text: str) -> Histogram:
        return Histogram(
            f"shopfloor_vision_{name}", text, ["camera"], buckets=SECONDS, registry=self.registry
        )
