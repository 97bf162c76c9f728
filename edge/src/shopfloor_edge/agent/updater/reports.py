"""Evidence reports of one action: numbered, each figure in exactly one of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import groupby

from shopfloor_contracts.evidence import Evidence, Phase, SelfTest
from shopfloor_contracts.targets import UpdateKind
from shopfloor_edge.agent.updater import letters
from shopfloor_edge.agent.updater.desk import Job, Letter
from shopfloor_edge.agent.updater.evidence import add_up
from shopfloor_edge.errors import UpdateRefusedError
from shopfloor_edge.journal.alertbook import Verdicts
from shopfloor_edge.journal.audits import AuditSums
from shopfloor_edge.journal.trials import Trials
from shopfloor_edge.slots.domain import Ending
from shopfloor_edge.slots.file import SlotsFile

EVERY = timedelta(seconds=30)
Heard = Callable[[datetime, datetime], Verdicts]


Audited = Callable[[datetime, datetime], AuditSums]


def _audited_nothing(_from: datetime, _to: datetime) -> AuditSums:
    return AuditSums()


def _heard_nothing(_from: datetime, _to: datetime) -> Verdicts:
    return Verdicts()


@dataclass(frozen=True, slots=True)
class Reports:
    """Makes letters out of vision's figures. The caller keeps job and letter in one write."""

    trials: Trials
    slots: SlotsFile
    heard: Heard = _heard_nothing
    """What staff said of the alerts raised in a stretch of time."""
    audited: Audited = _audited_nothing
    """What people found in clips of a stretch of time."""

    def self_tested(self, job: Job, now: datetime, test: SelfTest) -> tuple[Job, Letter]:
        """Return the report of a self-test."""
        return _numbered(
            job, _blank(job, Phase.SELF_TEST, now).model_copy(update={"self_test": test})
        )

    def observed(self, job: Job, now: datetime, *, flush: bool) -> Iterator[tuple[Job, Letter]]:
        """Give a report of each step that has figures which were not reported.

        Args:
            flush: whether they may not wait for more.
        """
        if job.release is None:
            return
        found = self.trials.reports(job.release.digest, after=job.taken)
        if not found or not (flush or now - found[0][1].began_at >= EVERY):
            return
        attempt = self.slots.read().attempt
        crashes = max(0, attempt.loads - 1 - job.crashes) if attempt else 0
        for _, group in groupby(found, key=lambda one: one[1].phase):
            rows = list(group)
            report = add_up([one for _, one in rows]).model_copy(update={"crashes": crashes})
            job = replace(job, taken=rows[-1][0], crashes=job.crashes + crashes)
            if report.phase is Phase.TRIAL:
                job = replace(job, trial_from=job.trial_from or report.began_at)
            job, report = self._with_verdicts(job, report, now)
            job, letter = _numbered(job, report)
            crashes = 0
            yield job, letter

    def ended(self, job: Job, phase: Phase, last: Ending, now: datetime) -> tuple[Job, Letter]:
        """Return the report of a commit or of a way back."""
        crashes = max(0, last.crashes - job.crashes)
        update = {"crashes": crashes, "detail": last.reason[:200]}
        report = _blank(job, phase, now).model_copy(update=update)
        return _numbered(*self._with_verdicts(job, report, now))

    def _with_verdicts(self, job: Job, report: Evidence, now: datetime) -> tuple[Job, Evidence]:
        """Add what staff have said since the report before, of the trial's alerts and clips.

        A verdict that was taken back meanwhile stays with the campaign: sums there only grow.
        """
        if job.trial_from is None:
            return job, report
        said = self.heard(job.trial_from, now)
        more = {
            "alerts_right": max(0, said.right - job.alerts_right),
            "alerts_wrong": max(0, said.wrong - job.alerts_wrong),
        }
        found = self.audited(job.trial_from, now)
        sums = found.agreed, found.missed, found.false
        names = ("audit_agreed", "audit_missed", "audit_false")
        for name, now_there, reported in zip(names, sums, job.audited, strict=True):
            more[name] = max(0, now_there - reported)
        job = replace(
            job,
            audited=sums,
            alerts_right=job.alerts_right + more["alerts_right"],
            alerts_wrong=job.alerts_wrong + more["alerts_wrong"],
        )
        return job, report.model_copy(update=more)

    def kind_of(self, target: str) -> UpdateKind:
        """Return the kind that a TUF path begins with.

        Raises:
            UpdateRefusedError: it begins with none.
        """
        try:
            return UpdateKind(target.partition("/")[0])
        except ValueError as e:
            raise UpdateRefusedError(f"{target}: begins with no kind of update") from e


def _blank(job: Job, phase: Phase, now: datetime) -> Evidence:
    digest = job.release.digest if job.release else ""
    base = job.base or None
    return Evidence(seq=0, phase=phase, digest=digest, base=base, began_at=now, ended_at=now)


def _numbered(job: Job, report: Evidence) -> tuple[Job, Letter]:
    job = replace(job, seq=job.seq + 1)
    told = report.model_copy(update={"seq": job.seq, "base": job.base or None})
    return job, letters.evidence(job.plan.action, told)
