"""The part of an update that time decides: shadow, trial, commit or back. Needs no network."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from shopfloor_edge.agent.updater.evidence import disagreement
from shopfloor_edge.journal.trials import Trials
from shopfloor_edge.slots.domain import (
    Attempt,
    Slots,
    SlotsError,
    Step,
    advance,
    cancel,
    commit,
    fail,
)
from shopfloor_edge.slots.file import SlotsFile

log = logging.getLogger(__name__)

SHADOW_FRAMES_MIN = 1
PATIENCE_S = 6 * 3600.0
"""Beyond what was asked: a closed store shows nobody to compare, a broken vision shows nothing."""


@dataclass(frozen=True, slots=True)
class Trying:
    """Moves the attempt on when it has endured what was asked."""

    file: SlotsFile
    trials: Trials
    agreement_min: float

    def begin(self, attempt: Attempt) -> None:
        """Hand a staged attempt to vision.

        Raises:
            SlotsError: it is not staged.
            JournalError: the disk refuses.
        """
        self.trials.forget()
        shadowed = attempt.shadow_s > 0 and attempt.release.kind == "model"
        step = Step.SHADOW if shadowed else Step.TRIAL
        self.file.change(lambda slots: advance(slots, step))

    def look(self, *, waited_s: float, may_commit: bool = True) -> Slots:
        """Decide what can be decided now; return the slots after it.

        Args:
            waited_s: since the attempt began.
            may_commit: whether this process is the one to judge a trial.

        Raises:
            JournalError: the disk refuses.
        """
        slots = self.file.read()
        attempt = slots.attempt
        if attempt is None:
            return slots
        if attempt.step is Step.STAGED:
            self.begin(attempt)
            return self.file.read()
        if waited_s > attempt.shadow_s + attempt.trial_s + PATIENCE_S:
            return self._end("too little was seen of it to judge", quarantine=False)
        if attempt.step is Step.SHADOW:
            return self._shadow(slots, attempt)
        newest, _ = self.trials.endured(attempt.release.digest, Step.TRIAL)
        if newest.elapsed_s < attempt.trial_s or newest.frames == 0 or not may_commit:
            return slots
        return self._change(attempt, "commit")

    def _shadow(self, slots: Slots, attempt: Attempt) -> Slots:
        digest = attempt.release.digest
        _, whole = self.trials.endured(digest, Step.SHADOW)
        if whole.elapsed_s < attempt.shadow_s or whole.frames < SHADOW_FRAMES_MIN:
            return slots
        reports = [report for _, report in self.trials.reports(digest, after=0)]
        reason = disagreement(reports, self.agreement_min)
        if reason:
            return self._end(f"shadow: {reason}", quarantine=True)
        return self._change(attempt, "trial")

    def _change(self, attempt: Attempt, what: str) -> Slots:
        """Commit or begin the trial, unless vision has ended the attempt meanwhile."""

        def step(slots: Slots) -> Slots:
            now = slots.attempt
            if now is None or (now.release, now.step) != (attempt.release, attempt.step):
                return slots
            return commit(slots) if what == "commit" else advance(slots, Step.TRIAL)

        return self.file.change(step)

    def _end(self, reason: str, *, quarantine: bool) -> Slots:
        end = fail if quarantine else cancel
        try:
            return self.file.change(lambda slots: end(slots, reason))
        except SlotsError:
            return self.file.read()
