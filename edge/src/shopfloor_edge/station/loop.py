"""The station's loop: one part at a time, from its trigger to the word that the line hears."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from shopfloor_contracts.recipes import Recipe
from shopfloor_edge.inspection.arrivals import Trigger, TriggerQueue
from shopfloor_edge.inspection.capture import PartCamera
from shopfloor_edge.inspection.evidence import EvidenceStore
from shopfloor_edge.inspection.line import Ruling
from shopfloor_edge.inspection.ports import Doubt, Grey, Judge, Judgement, Verdict
from shopfloor_edge.journal.parts import PartRow
from shopfloor_edge.station.ledger import StationLedger
from shopfloor_edge.station.link import LineLink
from shopfloor_edge.station.metrics import StationMetrics
from shopfloor_edge.watchdog import Watchdog

log = logging.getLogger(__name__)

TICK_S = 0.1
"""Between heartbeats; the keeper takes eight that stay out for a dead station."""
RESTART, RELEASE, STOP = "restart", "release", "stop"
LATE, NO_PICTURE, OVERFLOW = "late", "no-picture", "trigger-storm"


@dataclass(frozen=True, slots=True)
class Clock:
    """The two clocks of a machine; tests give their own."""

    monotonic: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time


@dataclass(frozen=True, slots=True)
class Equipment:
    """What a station works with."""

    judges: Mapping[str, Judge]
    """Per product."""
    camera: PartCamera
    queue: TriggerQueue
    line: LineLink
    evidence: EvidenceStore
    golden: Callable[[], list[str]]
    """Judges the golden parts; returns what was misjudged."""
    metrics: StationMetrics = field(default_factory=StationMetrics)


class StationLoop:
    """Judges parts until it is stopped; a single thread owns it."""

    def __init__(
        self, recipe: Recipe, equipment: Equipment, ledger: StationLedger, clock: Clock
    ) -> None:
        self._recipe, self._equipment, self._ledger = recipe, equipment, ledger
        self._clock = clock
        self._default = recipe.products[0].name
        self._passed_since_kept = 0
        self._ticked_at_s = -1.0
        self._shift = ""
        self._watchdog = Watchdog()

    def run(self, stop: threading.Event) -> None:
        """Judge until ``stop``; then settle the window as far as it is."""
        self._release("start")
        while not stop.is_set():
            trigger = self._equipment.queue.take(TICK_S / 2)
            if trigger is not None:
                self._part(trigger)
            overflow = self._equipment.queue.overflow()
            if overflow.any:
                self._ledger.overflowed(overflow.unnumbered, overflow.last)
                self._show()
            self._tick()
        self._ledger.close_window(self._clock.wall(), final=True)

    def _tick(self) -> None:
        now_s = self._clock.monotonic()
        if now_s - self._ticked_at_s < TICK_S:
            return
        elapsed_s = min(1.0, now_s - self._ticked_at_s) if self._ticked_at_s >= 0 else 0.0
        self._ticked_at_s = now_s
        self._watchdog.alive(now_s)
        self._ledger.watched(elapsed_s)
        self._equipment.line.beat()
        for command, by in self._ledger.book.take_commands():
            log.info("command", extra={"command": command, "by": by})
            if command == STOP:
                self._ledger.stopped(self._clock.wall(), by)
                self._show()
            else:
                self._release(command)
        shift = time.strftime("%H:%M", time.localtime(self._clock.wall()))
        if shift != self._shift and shift in self._recipe.shifts:
            self._release("shift")
        self._shift = shift
        self._equipment.metrics.counted(self._ledger.totals)
        self._equipment.metrics.looked_up(
            self._clock.wall(),
            waiting=self._equipment.queue.waiting,
            failures=self._ledger.book.failures,
        )
        self._ledger.close_window(self._clock.wall())

    def _release(self, why: str) -> None:
        """Judge the golden parts; a restart begins the charts again, when they are right."""
        wrong = self._equipment.golden()
        self._ledger.released(self._clock.wall(), wrong, restart=why == RESTART and not wrong)
        log.info("golden parts", extra={"why": why, "misjudged": len(wrong)})
        self._show()

    def _part(self, trigger: Trigger) -> None:
        if not self._ledger.open_part(trigger):
            return
        judgement, picture, reason = self._judged(trigger)
        latency_ms = 1000 * (self._clock.monotonic() - trigger.at_s)
        if not reason and latency_ms > self._recipe.latency_budget_ms:
            judgement, reason = Judgement(Verdict.REVIEW, doubt=Doubt.UNSURE), LATE
        part = self._ledger.part
        evidence = picture is not None and self._is_kept(judgement)
        row = PartRow(
            part,
            self._clock.wall(),
            "missed" if reason in (LATE, NO_PICTURE) else judgement.verdict.value,
            round(latency_ms, 2),
            " ".join(sorted({finding.defect for finding in judgement.findings})),
            reason or (judgement.doubt.value if judgement.doubt else ""),
            trigger.number,
            trigger.run,
            trigger.product or self._default,
            EvidenceStore.name_of(part) if evidence else "",
        )
        changed = self._ledger.settle(row, judgement)
        self._equipment.metrics.judged(latency_ms)
        self._equipment.line.rule(
            Ruling(part, judgement.verdict, row.reason, trigger.number, trigger.run)
        )
        if changed:
            self._show()
        # The line has heard: nothing waits for this.
        if evidence and picture is not None:
            self._equipment.evidence.keep(part, picture, judgement)

    def _judged(self, trigger: Trigger) -> tuple[Judgement, Grey | None, str]:
        """Return the judgement, its picture, and why the part was missed."""
        unsure = Judgement(Verdict.REVIEW, doubt=Doubt.NO_PICTURE)
        waited_ms = 1000 * (self._clock.monotonic() - trigger.at_s)
        if waited_ms > self._recipe.latency_budget_ms:
            return unsure, None, LATE
        picture = self._equipment.camera.take(trigger, self._recipe.capture_timeout_s)
        if picture is None:
            return unsure, None, NO_PICTURE
        judge = self._equipment.judges.get(trigger.product or self._default)
        if judge is None:
            return Judgement(Verdict.REVIEW, doubt=Doubt.OTHER_PRODUCT), picture, ""
        if not self._ledger.is_released:
            return Judgement(Verdict.REVIEW, doubt=Doubt.UNSURE), picture, ""
        return judge.judge(picture), picture, ""

    def _is_kept(self, judgement: Judgement) -> bool:
        if judgement.verdict is not Verdict.PASS:
            return True
        every = self._recipe.evidence.keep_passed_every
        self._passed_since_kept += 1
        if every and self._passed_since_kept >= every:
            self._passed_since_kept = 0
            return True
        return False

    def _show(self) -> None:
        signal = self._ledger.signal()
        self._equipment.line.show(signal)
        self._equipment.metrics.describe(
            signal, self._ledger.levels(), released=self._ledger.is_released
        )
