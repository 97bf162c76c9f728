"""The updater: one action at a time, from the campaigns' word to a commit or a way back.

Everything that decides is on disk before it is acted on or told, so a power cut at any point
continues the action or ends it.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from dataclasses import replace

from shopfloor_contracts.ddi import ConfigData, Execution
from shopfloor_contracts.evidence import Phase, SelfTest
from shopfloor_contracts.targets import UpdateKind
from shopfloor_edge.agent.updater import letters
from shopfloor_edge.agent.updater.campaigns import Campaigns, Errand
from shopfloor_edge.agent.updater.desk import Closed, Job, Papers, Stage
from shopfloor_edge.agent.updater.download import Limits
from shopfloor_edge.agent.updater.parts import Parts
from shopfloor_edge.agent.updater.plan import Plan, plan_of
from shopfloor_edge.agent.updater.switching import is_judge
from shopfloor_edge.errors import UpdateDelayedError, UpdateRefusedError
from shopfloor_edge.slots.applications import running_application
from shopfloor_edge.slots.domain import Attempt, Ending, SlotsError, cancel, restore, stage

log = logging.getLogger(__name__)

BUSY_S = 1.0
"""Between looks at an action that vision works on."""
POSTS_AT_ONCE = 50


class StoppedError(Exception):
    """What was being done has been given up: the agent stops, or the action is another."""


class Updater:
    """Belongs to one thread."""

    def __init__(self, parts: Parts, *, stopping: Callable[[], bool]) -> None:
        self._parts, self._stopping = parts, stopping
        self._desk, self._now = parts.desk, parts.now
        self._due_s = 0.0
        self._described: ConfigData | None = None
        self._told = ""
        self._reached = parts.campaigns is None
        """Whether the campaigns have answered this process."""

    def step(self) -> float:
        """Do what is due; return seconds until the next is.

        Raises:
            OSError, JournalError: the disk refuses.
        """
        try:
            self._post()
            if time.monotonic() >= self._due_s:
                self._poll()
            self._parts.switching.follow()
            self._work()
            self._parts.switching.follow()
            self._post()
        except StoppedError:
            return 0.0
        if self._parts.slots.read().attempt is not None:
            return BUSY_S
        wait_s = max(0.0, self._due_s - time.monotonic())
        return min(wait_s, BUSY_S) if self._desk.papers.job or self._desk.papers.letters else wait_s

    def _poll(self) -> None:
        """Ask the campaigns, and take in what they say; an answer that is none changes nothing."""
        limit, campaigns = self._parts.limit, self._parts.campaigns
        self._due_s = time.monotonic() + limit.poll_max_s / 10
        if campaigns is None:
            return
        try:
            errand = campaigns.poll()
            # Devices that were switched on together do not come together for ever.
            sleep_s = errand.sleep_s * random.uniform(0.9, 1.1)
            self._due_s = time.monotonic() + min(max(sleep_s, limit.poll_min_s), limit.poll_max_s)
            self._take_in(campaigns, errand)
            self._tell("")
            self._reached = True
        except (UpdateDelayedError, UpdateRefusedError) as e:
            self._tell(str(e))

    def _take_in(self, campaigns: Campaigns, errand: Errand) -> None:
        if errand.cancel is not None:
            self._cancel(errand.cancel, campaigns.cancelled(errand.cancel))
        elif errand.deployment is not None:
            self._offer(campaigns, errand.deployment)
        self._describe(campaigns, wanted=errand.wants_attributes)

    def _describe(self, campaigns: Campaigns, *, wanted: bool) -> None:
        """Say what this device is and runs, whenever that is news to the campaigns."""
        slots, attributes = self._parts.slots.read(), self._parts.attributes
        pairs = {"model": slots.model.active, "config": slots.config.active}
        runs = {kind: active.digest for kind, active in pairs.items() if active is not None}
        if running_application():
            runs["wheels"] = running_application()
        said = attributes.model_copy(update={"data": attributes.data | runs})
        if said != self._described or wanted:
            self._described = said
            campaigns.describe(said)

    def _offer(self, campaigns: Campaigns, action: str) -> None:
        """Take on an action, or say again how it ended."""
        papers = self._desk.papers
        closed = papers.ending(action)
        if closed is not None:
            if not any(one.action == action for one in papers.letters):
                self._desk.say(letters.ending(closed, self._now()))
            return
        try:
            plan = plan_of(campaigns.deployment(action))
        except UpdateRefusedError as e:
            if papers.job is None or papers.job.plan.action != action:
                self._give_up("another action was asked for")
                self._close(Closed(action, success=False, details=(str(e),), rejected=True))
            return
        job = papers.job
        if job is not None and job.plan.action == action:
            self._desk.put(replace(papers, job=replace(job, plan=replace(plan, action=action))))
            return
        self._give_up("another action was asked for")
        self._desk.put(replace(self._desk.papers, job=Job(replace(plan, action=action))))
        log.info("update asked for", extra={"action": action, "target": plan.target})

    def _cancel(self, number: str, action: str) -> None:
        """Stop an action, wherever it is, unless it is over."""
        job, now = self._desk.papers.job, self._now()
        ended = self._desk.papers.ending(action)
        if any(one.action == number and one.box == "cancel" for one in self._desk.papers.letters):
            return
        if job is not None and job.plan.action == action:
            self._settle_attempt(action, "cancelled")
            last = self._parts.slots.read().last
            if last is None or last.action != action or not last.committed:
                answer = letters.cancelled(number, now, success=True, detail="stopped")
                closed = Closed(action, success=False, details=("cancelled",))
                self._desk.close(closed, (answer,))
                log.info("update cancelled", extra={"action": action})
                return
        if ended is not None and ended.details != ("cancelled",):
            answer = letters.cancelled(number, now, success=False, detail="it is over already")
        else:
            answer = letters.cancelled(number, now, success=True, detail="nothing to stop")
        self._desk.say(answer)

    def _give_up(self, reason: str) -> None:
        """End what is under way, because something else takes its place."""
        job = self._desk.papers.job
        if job is not None:
            self._settle_attempt(job.plan.action, reason)
            self._close(Closed(job.plan.action, success=False, details=(reason,)))

    def _settle_attempt(self, action: str, reason: str) -> None:
        attempt = self._parts.slots.read().attempt
        if attempt is not None and attempt.action == action:
            try:
                self._parts.slots.change(lambda slots: cancel(slots, reason))
            except SlotsError as e:
                log.info("attempt was over already", extra={"reason": str(e)})

    def _work(self) -> None:
        """Take the job one stage on."""
        job = self._desk.papers.job
        if job is None:
            # A person's own attempt, out of a folder, has nobody to be reported to.
            self._look(0.0)
            return
        deadline = job.plan.deadline_at
        try:
            if deadline is not None and self._now() > deadline:
                self._settle_attempt(job.plan.action, "deadline")
                if self._conclude(job):
                    return
                raise UpdateRefusedError(f"not done by {deadline.isoformat()}")
            if job.stage is Stage.ASKED:
                self._fetch(job)
            elif job.stage is Stage.FETCHED:
                self._stage(job)
            else:
                self._watch(job)
        except UpdateRefusedError as e:
            failed = Closed(job.plan.action, success=False, details=(*job.notes, str(e)))
            self._close(replace(failed, rejected=True))
        except UpdateDelayedError as e:
            gave_up = (*job.notes, f"gave up: {e}")
            self._close(Closed(job.plan.action, success=False, details=gave_up))

    def _fetch(self, job: Job) -> None:
        parts, plan, now = self._parts, job.plan, self._now()
        if plan.restore and self._restore(plan):
            return
        if not plan.may_download or not parts.limit.is_open(now):
            return
        found = parts.installer.resolve(parts.repository, plan.target, now)
        slots = parts.slots.read()
        active = parts.switching.active(slots, found[1].custom.kind)
        if active == found[1].digest:
            self._close(Closed(plan.action, success=True, details=("active already",)))
            return
        caps = [cap for cap in (plan.bytes_per_s, parts.limit.bytes_per_s) if cap]
        limits = Limits(min(caps, default=None), parts.limit.reserve_bytes)
        say = letters.progress(plan.action, now, Execution.DOWNLOAD, plan.target)
        self._desk.say(say)
        self._post()
        fetched = parts.installer.fetch(parts.repository, found, slots, limits, self._progress)
        job = replace(
            job,
            stage=Stage.FETCHED,
            release=fetched.release,
            notes=fetched.notes,
            base=active,
        )
        if fetched.test is not None:
            job = self._self_tested(job, fetched.test)
        done = letters.progress(plan.action, now, Execution.DOWNLOADED, *job.notes, step=2)
        self._desk.say(done, job=job)

    def _self_tested(self, job: Job, test: SelfTest) -> Job:
        job, letter = self._parts.reports.self_tested(job, self._now(), test)
        self._desk.say(letter, job=job)
        if not test.passed:
            raise UpdateRefusedError(f"self-test: {test.detail}")
        return job

    def _restore(self, plan: Plan) -> bool:
        """Go back without a download, where the release is still here."""
        kind = self._parts.reports.kind_of(plan.target)
        before = self._parts.switching.provisioned(kind)
        try:
            self._parts.slots.change(
                lambda slots: restore(slots, kind, plan.restore, provisioned=before)
            )
        except SlotsError as e:
            if self._parts.switching.active(self._parts.slots.read(), kind) != plan.restore:
                log.info("cannot switch back, fetching instead", extra={"reason": str(e)})
                return False
        self._close(Closed(plan.action, success=True, details=("switched back",)))
        return True

    def _progress(self, here: int, whole: int) -> None:
        """Between two chunks: is this still wanted?"""
        job = self._desk.papers.job
        if self._stopping():
            raise StoppedError
        if time.monotonic() >= self._due_s:
            self._post()
            self._poll()
        now = self._desk.papers.job
        if now is None or job is None or now.plan.action != job.plan.action:
            raise StoppedError
        if not now.plan.may_download or not self._parts.limit.is_open(self._now()):
            log.info("download pauses", extra={"bytes": here, "of": whole})
            raise StoppedError

    def _stage(self, job: Job) -> None:
        if not job.plan.may_update or job.release is None:
            return
        if job.release.kind is UpdateKind.OS:
            self._hand_over(job)
            return
        plan = job.plan
        attempt = Attempt(job.release, plan.action, plan.shadow_s, plan.trial_s)
        found = self._parts.slots.read()
        mine = found.attempt is not None and found.attempt.action == plan.action
        over = found.last is not None and found.last.action == plan.action
        if found.attempt is not None and not mine:
            # A person's own update comes first; the deadline bounds the wait.
            return
        if not mine and not over:
            try:
                self._parts.slots.change(lambda slots: stage(slots, attempt))
            except SlotsError as e:
                raise UpdateRefusedError(str(e)) from e
        trying = replace(job, stage=Stage.TRYING, began_at=self._now())
        self._desk.put(replace(self._desk.papers, job=trying))
        kept = self._parts.slots.read().kept
        freed = self._parts.store.keep_only(kept)
        self._parts.switching.keep_only(kept)
        log.info("update is tried", extra={"action": plan.action, "freed_bytes": freed})

    def _hand_over(self, job: Job) -> None:
        """Have an image of the OS installed; it has halves of its own and its own way back."""
        handler, release = self._parts.os_handler, job.release
        if handler is None or release is None:
            raise UpdateRefusedError("nothing here installs images of the OS")
        said = handler.install(self._parts.store.archive(release.digest))
        last = Ending(job.plan.action, release.digest, committed=True)
        job, letter = self._parts.reports.ended(job, Phase.COMMITTED, last, self._now())
        self._desk.say(letter, job=job)
        self._close(Closed(job.plan.action, success=True, details=(*job.notes, said)))
        self._parts.store.keep_only(self._parts.slots.read().kept)

    def _look(self, waited_s: float) -> Attempt | None:
        """Let time decide; return the attempt after it."""
        attempt = self._parts.slots.read().attempt
        judging = is_judge(attempt, reached=self._reached)
        return self._parts.trying.look(waited_s=waited_s, may_commit=judging).attempt

    def _watch(self, job: Job) -> None:
        """Let time decide, and report what was observed."""
        now = self._now()
        before = self._parts.slots.read().attempt
        waited_s = (now - job.began_at).total_seconds() if job.began_at else 0.0
        after = self._look(waited_s)
        moved = (before.step if before else None) != (after.step if after else None)
        if before is not None:
            job = self._report(job, flush=moved)
        if after is None:
            if not self._conclude(job):
                raise UpdateRefusedError("given up on the device")
        elif moved:
            note = letters.progress(job.plan.action, now, Execution.PROCEEDING, after.step, step=3)
            self._desk.say(note)

    def _report(self, job: Job, *, flush: bool) -> Job:
        for reported, letter in self._parts.reports.observed(job, self._now(), flush=flush):
            job = reported
            self._desk.say(letter, job=job)
        return job

    def _conclude(self, job: Job) -> bool:
        """Close a job whose attempt is over; return whether it was."""
        slots = self._parts.slots.read()
        last = slots.last
        if slots.attempt is not None or last is None or last.action != job.plan.action:
            return False
        job = self._report(job, flush=True)
        phase = Phase.COMMITTED if last.committed else Phase.ROLLED_BACK
        if job.release is not None:
            job, letter = self._parts.reports.ended(job, phase, last, self._now())
            self._desk.say(letter, job=job)
        details = (*job.notes, "committed" if last.committed else f"rolled back: {last.reason}")
        self._close(Closed(job.plan.action, last.committed, details, rejected=not last.committed))
        return True

    def _close(self, closed: Closed) -> None:
        log.info("update ended", extra={"action": closed.action, "success": closed.success})
        self._desk.close(closed, (letters.ending(closed, self._now()),))

    def _post(self) -> None:
        """Send letters in order; the first that cannot be sent now stops the others."""
        for _ in range(POSTS_AT_ONCE):
            papers: Papers = self._desk.papers
            campaigns = self._parts.campaigns
            if campaigns is None or not papers.letters:
                return
            letter = papers.letters[0]
            try:
                campaigns.deliver(letter)
            except UpdateRefusedError as e:
                log.info("report is not wanted", extra={"action": letter.action, "reason": str(e)})
            except UpdateDelayedError as e:
                self._tell(str(e))
                return
            self._desk.sent()

    def _tell(self, what: str) -> None:
        if what and what != self._told:
            log.warning("campaigns do not answer", extra={"reason": what})
        elif not what and self._told:
            log.info("campaigns answer again")
        self._told = what
