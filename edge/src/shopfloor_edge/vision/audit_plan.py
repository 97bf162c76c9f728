"""When clips for audits are taken: a draw for each day, recorded before its first moment."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from random import Random, SystemRandom
from zoneinfo import ZoneInfo

from shopfloor_contracts.site import AuditsSpec
from shopfloor_edge.auditing.schedule import allocate, draw_day
from shopfloor_edge.errors import JournalError
from shopfloor_edge.journal.audit_clips import AuditBook, Draw, Planned
from shopfloor_edge.vision.audit_clips import LEAD_S

log = logging.getLogger(__name__)

BUSY_DAYS = 7
WRITE_EVERY_S = 60.0
LATE_S = 1.0
"""A clip that begins later than this would show less than was drawn."""
GAP_MAX_S = 2.0


class AuditPlanner:
    """One camera's draws. Belongs to the inference loop's thread.

    Args:
        seed: makes the seed of a day's draw, which is recorded.
    """

    def __init__(
        self,
        book: AuditBook,
        spec: AuditsSpec,
        camera: str,
        zone: ZoneInfo,
        *,
        seed: Callable[[], int] = lambda: SystemRandom().getrandbits(31),
    ) -> None:
        self._book, self._spec, self._camera, self._zone = book, spec, camera, zone
        self._seed = seed
        self._ahead: list[Planned] = []
        self._from_s = self._until_s = 0.0
        self._busy = (0.0, 0.0)
        self._written_s: float | None = None
        self._before: tuple[float, int] | None = None

    def due(self, at_s: float) -> Planned | None:
        """Return the moment that was drawn and has just begun."""
        if not self._from_s <= at_s < self._until_s:
            self._load(at_s)
        while self._ahead and self._ahead[0].began_at + LATE_S <= at_s:
            self._ahead.pop(0)
        if self._ahead and self._ahead[0].began_at <= at_s:
            return self._ahead.pop(0)
        return None

    def observe(self, at_s: float, people: int) -> None:
        """Take how many people one frame showed: busier hours get more clips from tomorrow on."""
        before, self._before = self._before, (at_s, people)
        if before is None or not 0 < at_s - before[0] <= GAP_MAX_S:
            return
        observed_s, people_s = self._busy
        self._busy = (observed_s + at_s - before[0], people_s + (at_s - before[0]) * before[1])
        if self._written_s is None:
            self._written_s = at_s
        if abs(at_s - self._written_s) >= WRITE_EVERY_S:
            self._write(at_s)

    def _write(self, at_s: float) -> None:
        local = datetime.fromtimestamp(at_s, self._zone)
        (observed_s, people_s), self._busy, self._written_s = self._busy, (0.0, 0.0), at_s
        try:
            self._book.observe(
                self._camera,
                f"{local:%Y-%m-%d}",
                local.hour,
                observed_s=observed_s,
                people_s=people_s,
            )
        except JournalError as e:
            log.warning("how busy it was is not written", extra={"reason": str(e)})

    def _load(self, at_s: float) -> None:
        """Take up the plan of the day, drawing it where nobody has."""
        local = datetime.fromtimestamp(at_s, self._zone)
        midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
        end_s = (midnight + timedelta(days=1)).timestamp()
        try:
            self._ahead = self._planned(local, at_s, end_s)
            self._from_s, self._until_s = midnight.timestamp(), end_s
        except JournalError as e:
            # Nothing is kept that was not recorded as drawn; asked again in a while.
            self._ahead, self._from_s, self._until_s = [], at_s - 1, at_s + WRITE_EVERY_S
            log.warning("clips for audits cannot be drawn", extra={"reason": str(e)})

    def _planned(self, local: datetime, at_s: float, end_s: float) -> list[Planned]:
        day = f"{local:%Y-%m-%d}"
        known = self._book.plan(self._camera, day)
        if known is not None:
            return [one for one in known if one.began_at >= at_s]
        since = f"{local - timedelta(days=BUSY_DAYS):%Y-%m-%d}"
        busy = self._book.busy(self._camera, since_day=since)
        seed, step_s = self._seed(), self._spec.clip_s + 2 * LEAD_S
        hours: dict[int, float] = {}
        for number in range(int(at_s // 60), int(end_s // 60)):
            hour = self._hour(number * 60.0)
            hours[hour] = hours.get(hour, 0.0) + 60.0
        drawn = draw_day(
            at_s,
            end_s,
            step_s,
            hour_of=self._hour,
            wanted=allocate(busy, hours, self._spec.clips_per_day),
            random=Random(seed),
        )
        planned = [Planned(one.began_s, one.hour, one.probability) for one in drawn]
        draw = Draw(self._camera, day, seed, step_s, self._spec.clips_per_day, at_s)
        self._book.draw(draw, planned)
        log.info("clips for audits drawn", extra={"camera": self._camera, "clips": len(planned)})
        return planned

    def _hour(self, at_s: float) -> int:
        return datetime.fromtimestamp(at_s, self._zone).hour
