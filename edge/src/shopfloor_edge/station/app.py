"""Composition root of the inspection process."""

from __future__ import annotations

import logging
import signal
import threading
from pathlib import Path
from typing import Protocol

from shopfloor_contracts.recipes import (
    GpioTrigger,
    MqttTrigger,
    OpcUaTrigger,
    Recipe,
    SettleTrigger,
)
from shopfloor_contracts.site import CameraSpec
from shopfloor_edge.cameras.choose import CameraOpener
from shopfloor_edge.inspection.arrivals import Trigger, TriggerQueue
from shopfloor_edge.inspection.capture import FolderCamera, FolderWatch, LiveCamera, PartCamera
from shopfloor_edge.inspection.evidence import EvidenceStore
from shopfloor_edge.inspection.triggers.gpio import GpioTriggers
from shopfloor_edge.inspection.triggers.mqtt import MqttTriggers
from shopfloor_edge.inspection.triggers.opcua import OpcUaTriggers
from shopfloor_edge.inspection.triggers.settle import SettleWatch
from shopfloor_edge.journal.part_views import EVIDENCE_FOLDER
from shopfloor_edge.journal.parts import PartBook
from shopfloor_edge.scrapes import serve
from shopfloor_edge.station.judging import build_judges, digest_of, judge_golden
from shopfloor_edge.station.ledger import StationLedger
from shopfloor_edge.station.link import DryLink, KeeperLink
from shopfloor_edge.station.loop import Clock, Equipment, StationLoop
from shopfloor_edge.station.metrics import StationMetrics
from shopfloor_edge.station.recipe_file import FOLDER, load_recipe
from shopfloor_edge.station.watching import build_guard

log = logging.getLogger(__name__)

OUTBOX_ROWS, OUTBOX_BYTES = 200_000, 200_000_000


def run_station(recipe_path: Path, state: Path, *, dry_run: bool = False) -> int:
    """Inspect until SIGTERM.

    Raises:
        OperatorError: a reference, chart or output that cannot be used.
        JournalError: the state folder cannot be written at the start.
    """
    recipe = load_recipe(recipe_path)
    judges, clock = build_judges(recipe), Clock()
    book = PartBook(state, recipe.station, max_rows=OUTBOX_ROWS, max_bytes=OUTBOX_BYTES)
    ledger = StationLedger(
        recipe, book, build_guard(recipe.watch), digest=digest_of(recipe), at_s=clock.wall()
    )
    queue = TriggerQueue()
    camera = _camera(recipe)
    triggers = _triggers(recipe, queue, camera)
    link = DryLink() if dry_run or recipe.dry_run else KeeperLink(recipe_path)
    metrics = StationMetrics()
    equipment = Equipment(
        judges,
        camera,
        queue,
        link,
        EvidenceStore(state / EVIDENCE_FOLDER / recipe.station, recipe.evidence.quota_bytes),
        lambda: judge_golden(recipe, judges, link.beat),
        metrics,
    )
    served = serve(metrics.registry, recipe.metrics.port) if recipe.metrics.port else None
    stop = _stop_on_signals()
    if isinstance(camera, LiveCamera):
        camera.start()
    triggers.start()
    log.info("station started", extra={"station": recipe.station, "part": ledger.part})
    try:
        StationLoop(recipe, equipment, ledger, clock).run(stop)
    finally:
        if served is not None:
            served.close()
        triggers.close()
        camera.close()
        link.close()
        book.close()
    log.info("station stopped", extra={"station": recipe.station, "part": ledger.part})
    return 0


def _camera(recipe: Recipe) -> PartCamera:
    if recipe.source.startswith(FOLDER):
        return FolderCamera(Path(recipe.source.removeprefix(FOLDER)))
    return LiveCamera(CameraOpener(CameraSpec(name=recipe.station, uri=recipe.source, fps=60)))


class Triggers(Protocol):
    """Whatever says that a part is there, into a queue."""

    def start(self) -> None:
        """Begin to watch."""

    def close(self) -> None:
        """Stop watching."""


class _Listening:
    """Triggers that come with the camera's own frames."""

    def start(self) -> None:
        """The camera is started by itself."""

    def close(self) -> None:
        """The camera is closed by itself."""


def _triggers(recipe: Recipe, queue: TriggerQueue, camera: PartCamera) -> Triggers:
    match recipe.trigger:
        case MqttTrigger() as spec:
            return MqttTriggers(spec, queue, recipe.station)
        case OpcUaTrigger() as spec:
            return OpcUaTriggers(spec, queue, recipe.station)
        case GpioTrigger() as spec:
            return GpioTriggers(spec, queue)
        case SettleTrigger() as spec if isinstance(camera, LiveCamera):
            camera.listen(SettleWatch(spec, queue).take)
            return _Listening()
    if isinstance(camera, LiveCamera):
        camera.listen(lambda at_s, _: queue.put(Trigger(at_s)))
        return _Listening()
    return FolderWatch(Path(recipe.source.removeprefix(FOLDER)), queue)


def _stop_on_signals() -> threading.Event:
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return stop
