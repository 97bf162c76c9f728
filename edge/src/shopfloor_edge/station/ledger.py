"""A station's account: each part once, in the totals, the charts and the alerts alike."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from shopfloor_contracts.aggregates import LATENCY_EDGES_MS
from shopfloor_contracts.recipes import Recipe
from shopfloor_edge.inspection.arrivals import Trigger
from shopfloor_edge.inspection.line import LineSignal
from shopfloor_edge.inspection.ports import Judgement, Verdict
from shopfloor_edge.journal.outbox import Draft
from shopfloor_edge.journal.parts import Overrule, PartBook, PartRow, Settlement
from shopfloor_edge.spc.guard import ALL, LineGuard, LineState
from shopfloor_edge.station.alarms import DEFECT_RATE, LINE_STOP, STATION, Alarms, Cause
from shopfloor_edge.station.knowledge import dump, load, new_tally, window_event
from shopfloor_edge.station.watching import levels_of

log = logging.getLogger(__name__)

MISSED = "missed"
MAX_GAP = 100_000
"""Parts that can go by unseen, eight hours at 200 a minute; more is another count, not a gap."""
BLIND, PERSON = "blind", "person"


class StationLedger:
    """Keeps the account in the book; never raises for a disk that refuses.

    Raises:
        JournalError: at the start only.
    """

    def __init__(
        self, recipe: Recipe, book: PartBook, guard: LineGuard, *, digest: str, at_s: float
    ) -> None:
        self.book, self._recipe, self._digest = book, recipe, digest
        self._admission, text = book.read()
        self._known = load(text, guard, recipe, at_s)
        self._alarms = Alarms(recipe, self._known.told)
        self._wrong: list[str] = ["golden parts not judged yet"]
        self._recover(at_s)

    @property
    def part(self) -> int:
        """Number of the last part."""
        return self._admission.part

    @property
    def totals(self) -> Mapping[str, int]:
        """Parts by verdict since the book was begun."""
        return self._known.all_time

    def levels(self) -> dict[str, dict[str, float]]:
        """Return how near each chart is to its limits."""
        return levels_of(self._known.guard)

    @property
    def is_released(self) -> bool:
        """Whether the golden parts were judged rightly."""
        return not self._wrong

    def open_part(self, trigger: Trigger) -> bool:
        """Write down that a part is about to be judged; False for one that was told before."""
        admission, gap = self._admission, 0
        if trigger.number is not None and trigger.run == admission.run:
            if admission.number is not None:
                gap = trigger.number - admission.number - 1
            if gap < 0:
                self._count("repeated", 1)
                return False
        if gap > MAX_GAP:
            log.warning("the line's count jumped", extra={"by": gap})
            gap = 0
        if trigger.number is not None:
            admission.number, admission.run = trigger.number, trigger.run
        admission.part += gap + 1
        admission.unsettled += gap + 1
        self.book.open_part(admission)
        return True

    def settle(self, row: PartRow, judgement: Judgement) -> bool:
        """Count a part; return whether the line must hear something new."""
        before = self.signal()
        known, admission = self._known, self._admission
        # The part itself is the last of those that are unsettled; the others went by unseen.
        self._miss(admission.unsettled - 1)
        admission.unsettled = 0
        drafts: list[Draft] = []
        if row.verdict == MISSED:
            self._miss(1)
        else:
            known.tally.judged(judgement, row.latency_ms, LATENCY_EDGES_MS)
            self._count(row.verdict, 1)
            drafts = self._watch(row.at, judgement)
        is_blind = row.verdict == MISSED or judgement.verdict is Verdict.REVIEW
        drafts += self._blindness(row.at, is_blind)
        self._write([row], drafts)
        return self.signal() != before

    def overflowed(self, unnumbered: int, last: Trigger | None) -> None:
        """Count triggers for which there was no room."""
        self._admission.part += unnumbered
        self._miss(unnumbered)
        if last is not None and self.open_part(last):
            self._miss(self._admission.unsettled)
            self._admission.unsettled = 0
        self._write([], [])

    def released(self, at_s: float, wrong: list[str], *, restart: bool) -> None:
        """Take what the golden parts gave; with ``restart`` the charts begin again."""
        self._wrong = wrong
        self._known.golden = {"at_s": at_s, "misjudged": wrong}
        drafts: list[Draft] = []
        if restart:
            self._known.guard.restart()
            self._known.stopped_by = ""
            self._known.doubts_in_a_row = 0
            drafts += self._alarms.set(DEFECT_RATE, at_s, None)
            drafts += self._alarms.set(LINE_STOP, at_s, None)
        cause = Cause(note=f"golden parts: {'; '.join(wrong)}") if wrong else None
        if wrong or not self._is_blind:
            drafts += self._alarms.set(STATION, at_s, cause)
        self._write([], drafts)

    def stopped(self, at_s: float, by: str) -> None:
        """Stop the line because a person says so; a line that stands already stays as it is."""
        known = self._known
        if known.guard.state is LineState.STOPPED:
            return
        known.guard.stop(PERSON)
        known.stopped_by = by
        known.tally.stops += 1
        self._count("stops", 1)
        # No name in an event: it may leave the site.
        self._write([], self._alarms.set(LINE_STOP, at_s, Cause(note="stopped by a person")))

    def watched(self, elapsed_s: float) -> None:
        """Add to the time in which the station looked."""
        self._known.tally.covered_s += elapsed_s

    def close_window(self, at_s: float, *, final: bool = False) -> None:
        """Commit the window that is over; at the end, keep what there is of an open one."""
        tally = self._known.tally
        if at_s < tally.start_s + self._recipe.window_s:
            if final:
                self._write([], [])
            return
        overrules = self.book.uncounted_overrules()
        self._hear(overrules)
        draft = window_event(self._known, self._recipe, self._digest)
        fresh = new_tally(at_s, self._recipe.window_s)
        # A clock that was set back must not report a window twice.
        fresh.start_s = max(fresh.start_s, tally.start_s + self._recipe.window_s)
        self._known.tally = fresh
        self._write([], [draft], counted=[overrule.part for overrule in overrules])

    def signal(self) -> LineSignal:
        """Return what the line may do now."""
        guard, may_go_on = self._known.guard, self._recipe.interlock == "warning"
        if guard.state is LineState.STOPPED:
            return LineSignal("stopped", run=False, warning=True, reason=self._reason())
        if self._wrong:
            return LineSignal("held", run=may_go_on, warning=True, reason=self._wrong[0])
        alerted = guard.state is LineState.ALERTED or self._is_blind
        return LineSignal(
            "alerted" if alerted else "running",
            run=True,
            warning=alerted,
            reason=self._reason() if alerted else "",
        )

    @property
    def _is_blind(self) -> bool:
        return self._known.doubts_in_a_row >= self._recipe.blind_after

    def _reason(self) -> str:
        if self._known.stopped_by:
            return "stopped by a person"
        if self._is_blind:
            return f"{self._recipe.blind_after} parts in a row without a judgement"
        return "defect rate"

    def _watch(self, at_s: float, judgement: Judgement) -> list[Draft]:
        guard, drafts = self._known.guard, []
        defects = {finding.defect for finding in judgement.findings}
        was = guard.state
        # A doubt says nothing of the defect rate: charts take parts that were judged.
        if judgement.verdict is Verdict.REVIEW:
            return []
        change = guard.update(defects, defective=judgement.verdict is Verdict.FAIL)
        if change is None:
            return []
        log.warning("line", extra={"state": change.state, "chart": change.chart})
        cause = self._cause(change.chart)
        if change.state is LineState.STOPPED:
            self._known.tally.stops += 1
            self._count("stops", 1)
            drafts += self._alarms.set(LINE_STOP, at_s, cause)
        if change.state is not LineState.RUNNING:
            drafts += self._alarms.set(DEFECT_RATE, at_s, cause)
        elif was is LineState.ALERTED:
            drafts += self._alarms.set(DEFECT_RATE, at_s, None)
        return drafts

    def _cause(self, chart: str) -> Cause:
        watched = self._known.guard.charts.get(chart)
        level = 0.0 if watched is None else min(1e6, watched.alert.level)
        return Cause(chart, level, 1.0, f"part {self.part}")

    def _blindness(self, at_s: float, is_blind: bool) -> list[Draft]:  # noqa: FBT001
        known = self._known
        if not is_blind:
            was, known.doubts_in_a_row = self._is_blind, 0
            stays = bool(self._wrong) or not was
            return [] if stays else self._alarms.set(STATION, at_s, None)
        known.doubts_in_a_row += 1
        if not self._is_blind:
            return []
        count = float(known.doubts_in_a_row)
        cause = Cause(ALL, count, float(self._recipe.blind_after), self._reason())
        drafts = self._alarms.set(STATION, at_s, cause)
        if self._recipe.interlock == "stop" and known.guard.state is not LineState.STOPPED:
            known.guard.stop(BLIND)
            known.tally.stops += 1
            self._count("stops", 1)
            drafts += self._alarms.set(LINE_STOP, at_s, cause)
        return drafts

    def _hear(self, overrules: list[Overrule]) -> None:
        tally = self._known.tally
        for said in overrules:
            if said.verdict == Verdict.PASS:
                tally.confirmed += said.good
                tally.escapes += not said.good
            elif said.verdict == Verdict.FAIL:
                tally.confirmed += not said.good
                tally.false_rejects += said.good

    def _miss(self, parts: int) -> None:
        if parts > 0:
            self._known.tally.missed += parts
            self._count(MISSED, parts)

    def _count(self, what: str, by: int) -> None:
        self._known.all_time[what] = self._known.all_time.get(what, 0) + by

    def _recover(self, at_s: float) -> None:
        """Count what an ended process left open, and begin a new window for a new recipe."""
        if self._admission.unsettled:
            log.warning("parts were open", extra={"parts": self._admission.unsettled})
            self._miss(self._admission.unsettled)
            self._admission.unsettled = 0
        drafts = []
        if self._known.version != self._recipe.version:
            drafts = [window_event(self._known, self._recipe, self._digest)]
            self._known.tally = new_tally(at_s, self._recipe.window_s)
            self._known.version = self._recipe.version
            for watched in self._known.guard.charts.values():
                watched.alert.reset()
                watched.stop.reset()
        self._write([], drafts)

    def _write(
        self, rows: list[PartRow], drafts: list[Draft], counted: list[int] | None = None
    ) -> None:
        settlement = Settlement(self._admission, dump(self._known), rows, drafts, counted or [])
        if not self.book.settle(settlement) and self.book.failures == 1:
            log.error("the disk refuses the book of parts, it is held in memory")
