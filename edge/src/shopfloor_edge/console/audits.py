"""An audit from its draw to the ledger: what the page *Audit* does, without a web framework."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from random import Random, SystemRandom

from shopfloor_contracts.audits import AuditData, SamplingDesign, SubjectSort
from shopfloor_contracts.events import source_of
from shopfloor_contracts.site import CameraSpec, SiteFile
from shopfloor_edge.auditing.estimate import METHOD, Estimate, Judged, estimate
from shopfloor_edge.auditing.sampling import Candidate, draw_set
from shopfloor_edge.auditing.scores import Score, score_counts, score_state
from shopfloor_edge.auditing.size import clips_needed
from shopfloor_edge.journal.audit_clips import Basis, KeptClip
from shopfloor_edge.journal.audits import Audit, Audits, Shown, Subject
from shopfloor_edge.journal.ledger import AuditedRow, read_audited

FOLDER = "audits"
"""In the state folder; vision writes it."""
SIZES = (10, 20, 40)
"""Clips of a set: two, five and ten minutes."""
UNSURE = "unsure"
"""Said instead of a count; the clip then weighs nothing, and the report tells of it."""
COUNT_MAX = 99
GOAL = 0.03
"""Half an interval that customers find narrow enough, in the hint of how many more clips."""
MORE_MAX = 500
_STATES = ("correct", "empty", "wrong")


class AuditRefusedError(ValueError):
    """What was asked for cannot be done; the message is a key of the page's texts."""


@dataclass(frozen=True, slots=True)
class SubjectRow:
    """A line, zone or slot as the page lists it."""

    subject: Subject
    basis: Basis | None
    """What its newest clips rest on; None where there is none yet."""
    waiting: int
    """Clips that can be drawn."""
    measured: AuditedRow | None
    """On that basis, or the newest of another."""
    current: bool
    """Whether ``measured`` is of that basis."""


class AuditRoom:
    """The console's audits.

    Args:
        site: gives the site file that is good now.
        seed: makes the seed of a draw, which is recorded.
    """

    def __init__(
        self,
        site: Callable[[], SiteFile],
        state: Path,
        clock: Callable[[], datetime],
        *,
        seed: Callable[[], int] = lambda: SystemRandom().getrandbits(29),
    ) -> None:
        self._site, self._state, self._clock, self._seed = site, state, clock, seed
        self.audits = Audits(state, site().outbox)

    def subjects(self) -> list[SubjectRow]:
        """Return everything that can be audited, by camera."""
        site, audited = self._site(), read_audited(self._state)
        rows = []
        for camera in site.cameras:
            bases = [b for b in self.audits.bases(camera.name) if _fits(b, camera)]
            source = source_of(site.site, site.device, camera.name)
            for sort, name in _things(camera):
                subject = Subject(source, sort, name)
                rows.append(self._row(subject, bases[0] if bases else None, audited))
        return rows

    def begin(self, subject: Subject, size: int, by: str) -> int:
        """Draw a set and record it; return its number.

        Raises:
            AuditRefusedError: there is no such thing, or no clip of it.
        """
        row = next((row for row in self.subjects() if row.subject == subject), None)
        if row is None or row.basis is None or not row.waiting:
            raise AuditRefusedError("audit.no_clips")
        clips = {one.clip: one for one in self._eligible(subject, row.basis)}
        seed = self._seed()
        if not clips:
            raise AuditRefusedError("audit.no_clips")
        candidates = [
            Candidate(one.clip, one.hour, one.people, 1 / one.probability) for one in clips.values()
        ]
        drawn = draw_set(candidates, size, Random(seed))
        began = [clips[one.clip].began_at for one in drawn]
        planned, kept = self.audits.planned(subject.camera, min(began) - 2, max(began))
        shown = [
            _shown(place, clips[one.clip], subject, (one.stratum, one.probability, one.weight))
            for place, one in enumerate(drawn, start=1)
        ]
        design: dict[str, int | str] = {
            "method": METHOD,
            "planned": max(planned, kept),
            "kept": kept,
            "eligible": len(clips),
            "strata": len({one.stratum for one in drawn}),
            "seed": seed,
        }
        at = self._clock().timestamp()
        return self.audits.draw(subject, row.basis, shown, design=design, by_at=(by, at))

    def answer(self, audit: int, place: int, said: dict[str, str]) -> None:
        """Keep what a person saw; the last answer ends the set.

        Raises:
            AuditRefusedError: it is no answer to this clip.
            LookupError: there is no such set or clip.
        """
        found, shown = self.audits.read(audit)
        clip = next((one for one in shown if one.place == place), None)
        if clip is None:
            raise LookupError(f"audit {audit} has no clip {place}")
        seen = _seen(found.subject.sort, said)
        self.audits.answer(audit, place, seen, self._clock().timestamp())
        self.close(audit)

    def close(self, audit: int) -> None:
        """Work out the result of a set in which every clip is answered."""
        found, shown = self.audits.read(audit)
        if found.done_at is not None or any(one.seen is None for one in shown):
            return
        data = self._data(found, shown)
        before = self.audits.done(found.subject, found.basis)
        self.audits.finish(found, data, _pooled(found, data, [*(s for _, s in before), shown]))

    def next(self, audit: int) -> tuple[Audit, Shown | None, list[Shown]]:
        """Return a set, its first clip without an answer, and all its clips.

        A clip whose file is gone meanwhile counts as one that nobody could judge.

        Raises:
            LookupError: there is no such set.
        """
        found, shown = self.audits.read(audit)
        for one in shown:
            if one.seen is not None:
                continue
            if self.file(one.clip, "webp").is_file():
                return found, one, shown
            self.audits.answer(audit, one.place, UNSURE, self._clock().timestamp())
        self.close(audit)
        found, shown = self.audits.read(audit)
        return found, None, shown

    def file(self, clip: str, kind: str) -> Path:
        """Return where a clip's picture is, or was."""
        return self._state / FOLDER / f"{clip}.{kind}"

    def measured(self, subject: Subject, basis: Basis) -> AuditedRow | None:
        """Return what all audits of a subject on one basis came to."""
        return next((r for r in read_audited(self._state) if _same(r, subject, basis)), None)

    def _row(
        self, subject: Subject, basis: Basis | None, audited: Sequence[AuditedRow]
    ) -> SubjectRow:
        mine = [row for row in audited if _about(row, subject)]
        exact = [row for row in mine if basis is not None and _same(row, subject, basis)]
        waiting = 0 if basis is None else self.audits.waiting(subject, basis)
        best = exact[0] if exact else mine[0] if mine else None
        return SubjectRow(subject, basis, waiting, best, current=bool(exact))

    def _eligible(self, subject: Subject, basis: Basis) -> list[KeptClip]:
        clips = self.audits.eligible(subject, basis)
        return [one for one in clips if self.file(one.clip, "webp").is_file()]

    def _data(self, audit: Audit, shown: Sequence[Shown]) -> AuditData:
        found = _estimated([shown])
        basis = audit.basis
        return AuditData(
            sort=SubjectSort(audit.subject.sort),
            subject=audit.subject.name,
            clips=found.clips,
            agreed=found.total.agreed,
            missed=found.total.missed,
            false=found.total.false,
            accuracy=_rounded(found.accuracy),
            low=round(found.low, 4),
            high=round(found.high, 4),
            effective=round(found.effective, 2),
            counted_ratio=_rounded(found.counted_ratio),
            first_at=datetime.fromtimestamp(min(one.began_at for one in shown), UTC),
            last_at=datetime.fromtimestamp(max(one.ended_at for one in shown), UTC),
            at=self._clock(),
            model_digest=basis.model_digest,
            zone_version=basis.zone_version,
            backend=basis.backend or None,
            precision=basis.precision or None,
            design=SamplingDesign.model_validate(audit.design),
        )


def score_of(shown: Shown) -> Score | None:
    """Compare one clip's count with what was seen; None of one that was not judged."""
    if shown.seen is None or shown.seen == UNSURE:
        return None
    if isinstance(shown.counted, str) or isinstance(shown.seen, str):
        return score_state(str(shown.counted), str(shown.seen))
    return score_counts(shown.counted, shown.seen)


def more_clips(row: AuditedRow) -> int:
    """Return about how many more clips bring the interval to ``GOAL`` either side; 0 for many."""
    items = row.agreed + row.missed + row.false_items
    if row.accuracy is None or not items:
        return 0
    design = max(1.0, items / row.effective)
    needed = clips_needed(
        GOAL, accuracy=min(0.99, row.accuracy), items_per_clip=items / row.clips, design=design
    )
    more = max(0, needed - row.clips)
    # Of a small or a bad sample the hint would be a guess.
    return more if more <= MORE_MAX else 0


def _estimated(sets: Sequence[Sequence[Shown]]) -> Estimate:
    """Estimate over several sets: each weighs as many clips as it has."""
    judged = []
    for number, shown in enumerate(sets):
        scored = [(one, score) for one in shown if (score := score_of(one)) is not None]
        whole = sum(one.weight for one, _ in scored)
        judged += [
            Judged(f"{number:04d}/{one.stratum}", one.weight * len(scored) / whole, score)
            for one, score in scored
        ]
    return estimate(judged)


def _pooled(audit: Audit, data: AuditData, sets: Sequence[Sequence[Shown]]) -> AuditedRow:
    found, basis, subject = _estimated(sets), audit.basis, audit.subject
    every = [one for shown in sets for one in shown]
    return AuditedRow(
        source=subject.source,
        sort=subject.sort,
        subject=subject.name,
        model_digest=basis.model_digest,
        backend=basis.backend,
        precision=basis.precision,
        zone_version=basis.zone_version,
        audits=len(sets),
        clips=found.clips,
        agreed=found.total.agreed,
        missed=found.total.missed,
        false_items=found.total.false,
        accuracy=found.accuracy,
        low=found.low,
        high=found.high,
        effective=found.effective,
        counted_ratio=found.counted_ratio,
        first_at=min(one.began_at for one in every),
        last_at=max(one.ended_at for one in every),
        audited_at=data.at.timestamp(),
    )


def _shown(place: int, clip: KeptClip, subject: Subject, draw: tuple[str, float, float]) -> Shown:
    return Shown(
        place,
        clip.clip,
        clip.began_at,
        clip.ended_at,
        *draw,
        counted=clip.counted[subject.key],
        drawn=clip.drawn,
        seen=None,
    )


def _seen(sort: str, said: dict[str, str]) -> list[int] | str:
    if UNSURE in said:
        return UNSURE
    if sort == "slot":
        if said.get("state") not in _STATES:
            raise AuditRefusedError("audit.say_what")
        return said["state"]
    names = ("in", "out") if sort == "line" else ("people",)
    texts = [said.get(name, "") for name in names]
    if not all(text.isascii() and text.isdigit() and int(text) <= COUNT_MAX for text in texts):
        raise AuditRefusedError("audit.say_what")
    return [int(text) for text in texts]


def _things(camera: CameraSpec) -> list[tuple[str, str]]:
    counted = [zone.name for zone in camera.zones if "occupancy" in zone.analytics]
    return [
        *(("line", line.name) for line in camera.lines),
        *(("zone", name) for name in counted),
        *(("slot", slot.name) for slot in camera.slots),
    ]


def _fits(basis: Basis, camera: CameraSpec) -> bool:
    return basis.zone_version == camera.zone_version


def _about(row: AuditedRow, subject: Subject) -> bool:
    return (row.source, row.sort, row.subject) == (subject.source, subject.sort, subject.name)


def _same(row: AuditedRow, subject: Subject, basis: Basis) -> bool:
    rests_on = Basis(row.model_digest, row.backend, row.precision, row.zone_version)
    return _about(row, subject) and rests_on == basis


def _rounded(share: float | None) -> float | None:
    return None if share is None else round(share, 4)
