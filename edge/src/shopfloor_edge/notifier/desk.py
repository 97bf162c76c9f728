"""Follows the alert book, and sees to it that what is open is told. No thread, no clock."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from zoneinfo import ZoneInfo

from shopfloor_contracts.rules import QuietHours, Severity
from shopfloor_contracts.site import SiteFile
from shopfloor_edge.errors import AlertUnknownError, NoticeDelayedError
from shopfloor_edge.journal.alertbook import AlertBook
from shopfloor_edge.journal.alerts import AlertRow, Standing
from shopfloor_edge.notifier.domain import (
    WEIGHT,
    Manners,
    Notice,
    Reason,
    Waiting,
    has_room,
    is_quiet,
    may_go,
    reminder_due,
    retry_after_s,
)
from shopfloor_edge.notifier.ports import Channel
from shopfloor_edge.notifier.queue import NoticeQueue
from shopfloor_edge.notifier.texts import Writer

log = logging.getLogger(__name__)

FOLLOW_ROWS = 500
REMIND_ROWS = 200
"""Of the newest open alerts: a thousand of them are one fault, not a thousand reminders."""
REMIND_EVERY_S = 5.0


@dataclass(slots=True)
class Lane:
    """A target, and how it has been with it."""

    name: str
    severity: Severity
    channel: Channel
    failures: int = 0
    not_before: float = 0.0


@dataclass(slots=True)
class Desk:
    """One device's notices."""

    site: SiteFile
    book: AlertBook
    queue: NoticeQueue
    writer: Writer
    lanes: Sequence[Lane]
    _reminded_at: float = field(default=0.0)

    def step(self, now: float) -> int:
        """Do what is due; return how many messages went.

        Args:
            now: seconds since the epoch.

        Raises:
            JournalError: a file of the state folder cannot be read or written now.
        """
        self._follow(now)
        if not 0 <= now - self._reminded_at < REMIND_EVERY_S:
            self._remind(now)
            self._reminded_at = now
        spec = self.site.notify
        quiet: list[QuietHours] = [*spec.quiet, *self.site.console.quiet]
        if is_quiet(datetime.fromtimestamp(now, ZoneInfo(self.site.time_zone)), quiet):
            return 0
        return sum(self._send(lane, now) for lane in self.lanes if now >= lane.not_before)

    def _follow(self, now: float) -> None:
        cursor = self.queue.cursor()
        if cursor is None:
            # What was raised before anybody asked for notices is on the console.
            self.queue.put([], now=now, cursor=self.book.cursor())
            return
        while rows := self.book.since(cursor, FOLLOW_ROWS):
            cursor = rows[-1].changed
            told = [row for row in rows if _is_open(row) and row.at != row.escalated_at]
            notices = [_notice(row, Reason.RAISED, f"{row.alert_id}/{row.at}") for row in told]
            self._put(notices, now, cursor)

    def _remind(self, now: float) -> None:
        spec = self.site.notify
        for row in self.book.open(REMIND_ROWS):
            told = self.queue.reminded(row.alert_id)
            first_s, then_s = self.site.console.escalate_s, spec.remind_s
            since = max(row.raised_at, row.at if row.at != row.escalated_at else 0.0)
            if not _is_open(row) or told >= spec.reminders:
                continue
            if reminder_due(since, told, now, first_s=first_s, then_s=then_s):
                self._put([_notice(row, Reason.REMINDER, f"{row.alert_id}#{told}")], now, None)
                self.queue.remind(row.alert_id, now)

    def _put(self, notices: Sequence[Notice], now: float, cursor: int | None) -> None:
        dropped = self.queue.put(
            [
                (lane.name, notice)
                for lane in self.lanes
                for notice in notices
                if WEIGHT[notice.severity] >= WEIGHT[lane.severity]
            ],
            now=now,
            cursor=cursor,
        )
        if dropped:
            log.warning("notices dropped, too many wait", extra={"dropped": dropped})

    def _send(self, lane: Lane, now: float) -> int:
        how = Manners(self.site.notify.digest_s, self.site.notify.messages_per_hour)
        if not has_room(self.queue.sent_at(lane.name), now, how):
            return 0
        waiting = self.queue.waiting(lane.name)
        # Asking the book about each is dear: only when something would go.
        if not may_go(waiting, now, how):
            return 0
        waiting = self._still_open(lane, waiting, now)
        if not may_go(waiting, now, how):
            return 0
        try:
            # Of one alert a message tells the last only: raised and its reminder are one line.
            last = {one.notice.alert_id: one.notice for one in waiting}
            lane.channel.send(self.writer.write(list(last.values())))
        except NoticeDelayedError as e:
            lane.failures += 1
            lane.not_before = now + retry_after_s(lane.failures)
            if lane.failures == 1:
                log.warning("notice not taken", extra={"target": lane.name, "reason": str(e)})
            return 0
        if lane.failures:
            log.info("notices are taken again", extra={"target": lane.name})
        lane.failures = 0
        self.queue.sent(lane.name, [one.id for one in waiting], now)
        return 1

    def _still_open(self, lane: Lane, waiting: Sequence[Waiting], now: float) -> list[Waiting]:
        """Return what is still to be told; forget what is seen to, or older than anyone wants."""
        old = [one for one in waiting if now - one.since > self.site.notify.give_up_s]
        if old:
            self.queue.settle([one.id for one in old], counted="given_up")
            log.error("notices given up", extra={"target": lane.name, "notices": len(old)})
        young = [one for one in waiting if now - one.since <= self.site.notify.give_up_s]
        told = [one for one in young if self._is_open(one.notice)]
        kept = {one.id for one in told}
        seen = [one.id for one in young if one.id not in kept]
        if seen:
            self.queue.settle(seen, counted="settled_in_time")
        return told

    def _is_open(self, notice: Notice) -> bool:
        try:
            return _is_open(self.book.get(notice.alert_id))
        except AlertUnknownError:
            return False


def _is_open(row: AlertRow) -> bool:
    return row.state is Standing.OPEN and not row.settled


def _notice(row: AlertRow, reason: Reason, key: str) -> Notice:
    return Notice(
        alert_id=row.alert_id,
        rule=row.rule,
        metric=row.metric,
        camera=row.camera,
        about=row.about,
        severity=row.severity,
        raised_at=row.raised_at,
        reason=reason,
        key=key,
    )
