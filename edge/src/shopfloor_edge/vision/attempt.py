"""An update that is being tried, as the inference loop sees it: a shadow beside, or a trial.

The shadow looks at the frames that the active model infers, in stints: within one every frame, so
that both models' trackers see the same; between them it rests until its cost is within the budget.
"""

from __future__ import annotations

import logging
import time
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

from shopfloor_contracts.evidence import CountPair, Evidence, ModelFigures, Phase, PresencePair
from shopfloor_contracts.site import CameraSpec
from shopfloor_contracts.targets import UpdateKind
from shopfloor_edge.cameras.ports import Frame
from shopfloor_edge.errors import BundleError, JournalError
from shopfloor_edge.journal.trials import Stretch, Trials
from shopfloor_edge.slots.domain import Attempt, Slots, Step, unload
from shopfloor_edge.vision.pairs import CrossingPairs
from shopfloor_edge.vision.release import Loaded, Releases, Running
from shopfloor_edge.vision.watch import CameraWatch, Look, Totals

log = logging.getLogger(__name__)

LOOK_EVERY_S = 0.5
WRITE_S = (1.0, 30.0)
"""Often at first, since a trial may be short; seldom later, since a shadow may take days."""
STINT_S = 20.0
WARM_S = 2.0
"""Of camera time: what a new tracker counts before it knows who was there is not compared."""
FAILURES_MIN, FAILURES_RATIO_MAX = 10, 0.02
"""So many frames that could not be looked at, and such a share: more is the model's fault."""
GAP_MAX_S = 1.0


class Backed(Protocol):
    """What is read of a station."""

    @property
    def name(self) -> str:
        """The camera's."""
        ...

    @property
    def watch(self) -> CameraWatch:
        """Of the active model."""
        ...


@dataclass(slots=True)
class Beside:
    """The shadow of one camera, in one stint."""

    watch: CameraWatch
    from_s: float
    pairs: CrossingPairs = field(default_factory=CrossingPairs)
    presence: list[int] = field(default_factory=lambda: [0, 0, 0, 0])
    """Frames, people of the active model, people of the new one, frames that differ."""


@dataclass(slots=True)
class Tally:
    """Since the last write."""

    began_at: datetime
    began_s: float
    frames: int = 0
    observed_s: float = 0.0
    counts: dict[tuple[str, str], CountPair] = field(default_factory=dict)
    presence: dict[str, PresencePair] = field(default_factory=dict)
    old: Totals = field(default_factory=Totals)
    new: Totals = field(default_factory=Totals)


class AttemptWatch:
    """Belongs to the inference loop's thread; one for a session."""

    def __init__(self, running: Running, releases: Releases, trials: Trials) -> None:
        self._running, self._releases, self._trials = running, releases, trials
        self._attempt = running.slots.attempt
        self._specs = {spec.name: spec for spec in running.site.cameras}
        self._run, self._begun_s = uuid.uuid4().hex, time.monotonic()
        self._tally = self._fresh()
        self._last_s: dict[str, float] = {}
        self._seen: dict[str, Totals] = {}
        self._shadow: Loaded | None = None
        self._beside: dict[str, Beside] = {}
        self._spent_s, self._stint_until_s = 0.0, 0.0
        self._frames = self._failures = 0
        self._looked_s = 0.0
        self._load_shadow(running.slots)

    def saw(self, station: Backed, frame: Frame, look: Look) -> None:
        """Take a frame that the active model has inferred."""
        attempt = self._attempt
        if attempt is None or attempt.step is Step.STAGED:
            return
        watch, tally = station.watch, self._tally
        self._frames += 1
        self._add(watch.totals, station.name, tally.new if self._shadow is None else tally.old)
        if self._shadow is None:
            tally.frames += 1
            self._observe(station.name, frame.at_s)
        elif self._may_spend():
            self._compare(station, frame, look)

    def failed(self) -> None:
        """Take a frame that vision could not look at: on trial it is held against the release."""
        attempt = self._attempt
        if attempt is not None and attempt.step is Step.TRIAL:
            self._fail("trial")

    def tick(self) -> bool:
        """Write what was seen; return whether the session has to end for another release."""
        now_s = time.monotonic()
        if now_s - self._looked_s < LOOK_EVERY_S:
            return False
        self._looked_s = now_s
        least, most = WRITE_S
        if now_s - self._tally.began_s >= min(most, max(least, (now_s - self._begun_s) / 50)):
            self.write()
        try:
            slots = self._releases.read()
        except JournalError as e:
            log.debug("slots not read", extra={"reason": str(e)})
            return False
        if any(self._runs(slots, kind) for kind in (UpdateKind.MODEL, UpdateKind.CONFIG)):
            return True
        if slots.attempt is None or self._attempt is None or _moved(slots.attempt, self._attempt):
            self._follow(slots)
        return False

    def close(self) -> None:
        """Note the rest. A stop on purpose is no failed load."""
        self.write()
        attempt = self._attempt
        if attempt is not None and attempt.step is not Step.STAGED:
            digest = attempt.release.digest
            try:
                self._releases.file.change(lambda slots: unload(slots, digest))
            except JournalError as e:
                log.warning("stop not noted, it counts as a failed load", extra={"reason": str(e)})

    def write(self) -> None:
        """Put the tally into the journal."""
        attempt, tally = self._attempt, self._tally
        self._tally = self._fresh()
        if attempt is None or attempt.step is Step.STAGED:
            return
        for beside in self._beside.items():
            _collect(*beside, tally)
        stretch = Stretch(
            self._run,
            self._tally.began_s - tally.began_s,
            tally.frames,
            _report(attempt, tally, self._running.slots, self._shadow is not None),
        )
        try:
            self._trials.add(stretch)
        except JournalError as e:
            log.warning("figures of the update not written", extra={"reason": str(e)})

    def _runs(self, slots: Slots, kind: UpdateKind) -> bool:
        return slots.runs(kind) != self._running.slots.runs(kind)

    def _follow(self, slots: Slots) -> None:
        """A shadow began or ended, without a change of what counts."""
        if slots.attempt == self._attempt:
            return
        self.write()
        self._attempt, self._shadow, self._beside = slots.attempt, None, {}
        self._frames = self._failures = 0
        if slots.shadow is not None:
            self._load_shadow(self._releases.count_load())

    def _load_shadow(self, slots: Slots) -> None:
        self._attempt = slots.attempt
        release = slots.shadow
        if release is None:
            return
        try:
            self._shadow = self._releases.load(release, self._running.site)
        except BundleError as e:
            self._releases.give_up(release.digest, f"shadow: {e}")
            self._attempt = None
            return
        self._begun_s, self._tally = time.monotonic(), self._fresh()
        self._seen = {}
        log.info("shadow runs", extra={"model": release.name, "version": release.version})

    def _may_spend(self) -> bool:
        """Whether this is in a stint; begins one when the budget allows it."""
        now_s = time.monotonic()
        if now_s < self._stint_until_s:
            return True
        ratio = self._running.site.updates.shadow_cpu_ratio
        if self._spent_s > ratio * (now_s - self._begun_s):
            if self._beside:
                self.write()
                self._beside = {}
            return False
        self._stint_until_s = now_s + STINT_S
        return True

    def _compare(self, station: Backed, frame: Frame, look: Look) -> None:
        beside = self._beside.get(station.name)
        if beside is None or frame.at_s < beside.from_s:
            watch = self._watch_of(self._specs[station.name])
            beside = self._beside[station.name] = Beside(watch, frame.at_s)
            self._last_s.pop(station.name, None)
            self._seen.pop(f"new {station.name}", None)
        assert self._shadow is not None  # noqa: S101 — the caller has looked
        begun_s = time.perf_counter()
        try:
            found = beside.watch.look(frame, self._shadow.chosen.for_camera())
        except Exception:
            # A runtime's own classes; the active model's figures must not suffer from the new one.
            if self._failures == 0:
                log.exception("shadow could not look at a frame")
            self._fail("shadow")
            return
        self._spent_s += (time.perf_counter() - begun_s) * self._running.site.model.threads
        self._add(beside.watch.totals, f"new {station.name}", self._tally.new)
        if frame.at_s - beside.from_s < WARM_S:
            return
        self._tally.frames += 1
        self._observe(station.name, frame.at_s)
        beside.pairs.add(look.crossings, found.crossings, frame.at_s)
        old, new = station.watch.totals.people, beside.watch.totals.people
        for place, more in enumerate((1, old, new, int(old != new))):
            beside.presence[place] += more

    def _fail(self, where: str) -> None:
        self._failures += 1
        looked = self._frames + (self._failures if where == "trial" else 0)
        too_often = self._failures > FAILURES_RATIO_MAX * looked
        if self._failures >= FAILURES_MIN and too_often and self._attempt is not None:
            reason = f"{where}: {self._failures} of {looked} frames could not be looked at"
            self._releases.give_up(self._attempt.release.digest, reason)
            self._attempt, self._shadow = None, None

    def _watch_of(self, spec: CameraSpec) -> CameraWatch:
        assert self._shadow is not None  # noqa: S101 — the caller has looked
        plain = {"motion_gate": False, "picture_check": False, "zones": [], "slots": []}
        return CameraWatch(
            spec.model_copy(update=plain | {"heat": False}),
            self._shadow.manifest,
            model_digest=self._shadow.chosen.model_digest,
            window_s=3600.0,
            epoch_s=0.0,
        )

    def _observe(self, camera: str, at_s: float) -> None:
        before = self._last_s.get(camera)
        self._last_s[camera] = at_s
        if before is not None:
            self._tally.observed_s += min(max(0.0, at_s - before), GAP_MAX_S)

    def _add(self, totals: Totals, key: str, to: Totals) -> None:
        """Add what ``totals`` has more than the last time."""
        before = self._seen.get(key)
        if before is not None:
            to.frames += totals.frames - before.frames
            for name in ("inference_histogram", "score_histogram"):
                sums, now, then = (getattr(one, name) for one in (to, totals, before))
                sums[:] = [s + n - t for s, n, t in zip(sums, now, then, strict=True)]
        self._seen[key] = Totals(
            frames=totals.frames,
            inference_histogram=list(totals.inference_histogram),
            score_histogram=list(totals.score_histogram),
        )

    @staticmethod
    def _fresh() -> Tally:
        return Tally(datetime.now(UTC), time.monotonic())


def _moved(now: Attempt, before: Attempt) -> bool:
    return (now.release, now.step) != (before.release, before.step)


def _collect(camera: str, beside: Beside, tally: Tally) -> None:
    for line, sums in beside.pairs.take().items():
        tally.counts[camera, line] = CountPair(
            camera=camera,
            line=line,
            agreed=sums.agreed,
            only_old=sums.only_old,
            only_new=sums.only_new,
        )
    frames, old, new, differing = beside.presence
    beside.presence = [0, 0, 0, 0]
    tally.presence[camera] = PresencePair(
        camera=camera, frames=frames, people_old=old, people_new=new, differing=differing
    )


def _report(attempt: Attempt, tally: Tally, slots: Slots, shadowed: bool) -> Evidence:  # noqa: FBT001
    base = slots.pair(attempt.release.kind).active
    return Evidence(
        seq=0,
        phase=Phase.SHADOW if attempt.step is Step.SHADOW else Phase.TRIAL,
        digest=attempt.release.digest,
        base=base.digest if base else None,
        began_at=tally.began_at,
        ended_at=datetime.now(UTC),
        observed_s=round(tally.observed_s, 3),
        counts=list(tally.counts.values()),
        presence=list(tally.presence.values()),
        old=_figures(tally.old) if shadowed else None,
        new=_figures(tally.new),
    )


def _figures(totals: Totals) -> ModelFigures:
    return ModelFigures(
        frames=totals.frames,
        inference_histogram=totals.inference_histogram,
        score_histogram=totals.score_histogram,
    )
