"""What vision keeps of its cameras for people: clips for audits, and foot points for previews."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from shopfloor_contracts.site import SiteFile
from shopfloor_edge.analytics.lines import Crossing
from shopfloor_edge.analytics.shelf import SlotReading
from shopfloor_edge.cameras.ports import Planes
from shopfloor_edge.errors import JournalError
from shopfloor_edge.journal.audit_clips import AuditBook, Basis
from shopfloor_edge.vision.audit_clips import (
    FOLDER,
    AuditClip,
    AuditSampler,
    AuditStore,
    Moment,
)
from shopfloor_edge.vision.audit_plan import AuditPlanner
from shopfloor_edge.vision.clips import ClipWriter
from shopfloor_edge.vision.footsteps import Footsteps
from shopfloor_edge.vision.watch import CameraWatch

log = logging.getLogger(__name__)


class CameraSamples:
    """One camera's; implements the ``Samples`` port of ``vision.watch``."""

    def __init__(
        self,
        footsteps: Footsteps,
        sampler: AuditSampler | None,
        planner: AuditPlanner | None,
    ) -> None:
        self._footsteps, self._sampler, self._planner = footsteps, sampler, planner

    def offer(self, planes: Planes, boxes: NDArray[np.floating] | None, at_s: float) -> None:
        """Take a frame; ``boxes`` is None of one that was not inferred."""
        if self._sampler is not None:
            self._sampler.offer(planes, boxes, at_s)

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
        self._footsteps.add(ids, points, size=size, at_s=at_s)
        if self._sampler is None or self._planner is None:
            return
        self._planner.observe(at_s, len(ids))
        states = {name: str(reading.state) for name, reading in slots.items()}
        self._sampler.saw(Moment(at_s, len(ids), crossings, zones, states))

    def abandon(self) -> None:
        """The clock was set, or the session ends: what is half gathered is no clip."""
        if self._sampler is not None:
            self._sampler.abandon()
        self._footsteps.close()


class Sampling:
    """All cameras of one session of vision."""

    def __init__(self, site: SiteFile, state: Path) -> None:
        self._site, self._state = site, state
        self._book: AuditBook | None = None
        self._writer: ClipWriter[AuditClip] | None = None
        if site.audits.enabled:
            self._open()

    def attach(self, watch: CameraWatch) -> None:
        """Let a camera's watch keep samples."""
        spec, chosen = watch.spec, watch.chosen
        footsteps = Footsteps(self._state, spec.name)
        sampler = planner = None
        if self._book is not None and self._writer is not None:
            audits = self._site.audits
            planner = AuditPlanner(self._book, audits, spec.name, ZoneInfo(self._site.time_zone))
            basis = Basis(
                watch.model_digest,
                chosen.name if chosen else "",
                chosen.precision if chosen else "",
                spec.zone_version,
            )
            sampler = AuditSampler(
                spec, basis, audits.clip_s, due=planner.due, put=self._writer.put
            )
        watch.samples = CameraSamples(footsteps, sampler, planner)

    def close(self) -> None:
        """Finish what waits to be encoded."""
        if self._writer is not None:
            self._writer.close()
        if self._book is not None:
            self._book.close()

    def _open(self) -> None:
        try:
            self._book = AuditBook(self._state)
        except JournalError as e:
            # Counting comes first: audits wait for the next start.
            log.warning("no clips for audits", extra={"reason": str(e)})
            return
        audits = self._site.audits
        store = AuditStore(self._state / FOLDER, audits, self._book, clock=time.time)
        self._writer = ClipWriter(store)
        self._writer.start()
