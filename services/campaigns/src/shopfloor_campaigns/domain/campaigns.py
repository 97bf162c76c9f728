"""A campaign: a pure machine, ``(campaign, event, now) -> campaign, effects``.

It sees sums of its waves, never a single device. The next wave opens in the same step in which the
one before is decided, and a wave is decided once per round.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from shopfloor_campaigns.domain.gates import Answer, Figures, Verdict, judge, sample_of
from shopfloor_campaigns.domain.plan import Gate, GateRule, Plan, Undo


class Status(StrEnum):
    """Where a campaign is."""

    DRAFT = "draft"
    APPROVED = "approved"
    RUNNING = "running"
    PAUSED = "paused"
    STOPPED = "stopped"
    """A wave failed; only a person can let it go on."""
    ABORTED = "aborted"
    DONE = "done"


class WaveStatus(StrEnum):
    """Where a wave is."""

    WAITING = "waiting"
    OPEN = "open"
    PASSED = "passed"
    FAILED = "failed"
    OVERRULED = "overruled"
    """Undecided, and a person let it pass."""


@dataclass(frozen=True, slots=True)
class Look:
    """What was last seen of one gate. ``final`` when the wave was complete then."""

    gate: Gate
    number: int
    sample: int
    answer: Answer
    final: bool = False


@dataclass(frozen=True, slots=True)
class Wave:
    """One step. ``round`` goes up when a person lets a failed wave be tried again."""

    status: WaveStatus = WaveStatus.WAITING
    round: int = 1
    opened_at: datetime | None = None
    completed_at: datetime | None = None
    """When its last device ended."""
    decided_at: datetime | None = None
    looks: tuple[Look, ...] = ()

    def look_at(self, gate: Gate) -> Look | None:
        """Return the last look at a gate in this round."""
        return next((look for look in self.looks if look.gate is gate), None)


@dataclass(frozen=True, slots=True)
class Campaign:
    """The whole state; devices are kept apart."""

    status: Status
    waves: tuple[Wave, ...]
    reason: str = ""
    paused_by_us: bool = False

    @property
    def current(self) -> int | None:
        """Return the number of the wave that is open or comes next."""
        ended = (WaveStatus.PASSED, WaveStatus.OVERRULED)
        return next((n for n, wave in enumerate(self.waves) if wave.status not in ended), None)


def new_campaign(plan: Plan) -> Campaign:
    """Return the state before anybody approved it."""
    return Campaign(Status.DRAFT, (Wave(),) * len(plan.waves))


@dataclass(frozen=True, slots=True)
class Approved:
    """A person allowed it."""


@dataclass(frozen=True, slots=True)
class Started:
    """A person began it."""


@dataclass(frozen=True, slots=True)
class Paused:
    """A person wants no new device to begin."""

    reason: str


@dataclass(frozen=True, slots=True)
class Resumed:
    """A person lets it go on; ``overrule`` passes a wave that is complete and undecided."""

    overrule: bool = False


@dataclass(frozen=True, slots=True)
class Aborted:
    """A person ends it."""

    reason: str


@dataclass(frozen=True, slots=True)
class Measured:
    """How the current wave is now; comes again whenever that changes, and as time goes by."""

    wave: int
    figures: Figures
    ended: int
    """Of ``figures.devices`` those that have ended, in whatever way."""


Event = Approved | Started | Paused | Resumed | Aborted | Measured


@dataclass(frozen=True, slots=True)
class OpenWave:
    """Let its devices begin; in a later round also those that were taken back."""

    wave: int


@dataclass(frozen=True, slots=True)
class Judged:
    """Store a verdict."""

    wave: int
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class StopJobs:
    """Stop every device of the campaign that has begun and not ended."""

    reason: str
    waiting: bool = False
    """Also those whose wave has not opened."""


@dataclass(frozen=True, slots=True)
class UndoWaves:
    """Take the devices of these waves back."""

    waves: tuple[int, ...]
    reason: str


Effect = OpenWave | Judged | StopJobs | UndoWaves
Step = tuple[Campaign, tuple[Effect, ...]]


class NotNow(Exception):  # noqa: N818 — an answer to a person, told as a conflict
    """An order that the state does not allow."""


def step(campaign: Campaign, event: Event, now: datetime, plan: Plan) -> Step:
    """Move a campaign on.

    Raises:
        NotNow: an order that the state does not allow; a ``Measured`` never is one.
    """
    match event:
        case Measured():
            return _measured(campaign, event, now, plan)
        case Approved():
            _expect(campaign, "approve", Status.DRAFT)
            return replace(campaign, status=Status.APPROVED), ()
        case Started():
            allowed = (Status.APPROVED,) if plan.approval else (Status.DRAFT, Status.APPROVED)
            _expect(campaign, "start", *allowed)
            return _open_next(replace(campaign, status=Status.RUNNING), now, plan)
        case Paused():
            _expect(campaign, "pause", Status.RUNNING)
            return replace(campaign, status=Status.PAUSED, reason=event.reason), ()
        case Resumed():
            return _resume(campaign, event, now, plan)
        case Aborted():
            open_states = (Status.DRAFT, Status.APPROVED, Status.RUNNING, Status.PAUSED)
            _expect(campaign, "abort", *open_states, Status.STOPPED)
            ended = replace(campaign, status=Status.ABORTED, reason=event.reason)
            return ended, (StopJobs(event.reason, waiting=True),)


def _expect(campaign: Campaign, order: str, *allowed: Status) -> None:
    if campaign.status not in allowed:
        expected = " or ".join(allowed)
        raise NotNow(f"cannot {order}: the campaign is {campaign.status}, expected {expected}")


def _resume(campaign: Campaign, event: Resumed, now: datetime, plan: Plan) -> Step:
    _expect(campaign, "resume", Status.PAUSED, Status.STOPPED)
    number = campaign.current
    running = replace(campaign, status=Status.RUNNING, reason="", paused_by_us=False)
    if number is None:
        return running, ()
    wave = campaign.waves[number]
    if campaign.status is Status.STOPPED:
        again = Wave(WaveStatus.OPEN, wave.round + 1, opened_at=now)
        return _with_wave(running, number, again), (OpenWave(number),)
    if not event.overrule:
        if wave.completed_at is not None:
            # Its patience begins anew, or it would pause again at once.
            running = _with_wave(running, number, replace(wave, completed_at=now))
        return _open_next(running, now, plan)
    if wave.completed_at is None:
        raise NotNow(f"cannot overrule: wave {number + 1} is not complete")
    passed = replace(wave, status=WaveStatus.OVERRULED, decided_at=now)
    return _open_next(_with_wave(running, number, passed), now, plan)


def _open_next(campaign: Campaign, now: datetime, plan: Plan) -> Step:
    number = campaign.current
    if number is None:
        return replace(campaign, status=Status.DONE), ()
    if campaign.waves[number].status is not WaveStatus.WAITING:
        return campaign, ()
    if plan.is_over(now):
        reason = f"the start window ended before wave {number + 1}"
        return replace(campaign, status=Status.PAUSED, reason=reason, paused_by_us=True), ()
    if not plan.may_open(now):
        return campaign, ()
    opened = replace(campaign.waves[number], status=WaveStatus.OPEN, opened_at=now)
    return _with_wave(campaign, number, opened), (OpenWave(number),)


def _measured(campaign: Campaign, event: Measured, now: datetime, plan: Plan) -> Step:
    # Paused, a wave can still fail: what is out there does harm all the same.
    if campaign.status not in (Status.RUNNING, Status.PAUSED) or event.wave != campaign.current:
        return campaign, ()
    wave = campaign.waves[event.wave]
    if wave.status is WaveStatus.WAITING:
        return (
            _open_next(campaign, now, plan)
            if campaign.status is Status.RUNNING
            else (
                campaign,
                (),
            )
        )
    wave = _completion(wave, event, now)
    complete = wave.completed_at is not None and now >= wave.completed_at + plan.timing.soak
    wave, verdicts = _look(wave, event.figures, plan.gates, complete=complete)
    judged = tuple(Judged(event.wave, verdict) for verdict in verdicts)
    campaign = _with_wave(campaign, event.wave, wave)
    failed = next((verdict for verdict in verdicts if verdict.answer is Answer.FAIL), None)
    if failed is not None:
        after, effects = _fail(campaign, event.wave, failed, now, plan)
    elif complete and campaign.status is Status.RUNNING:
        after, effects = _conclude(campaign, event, now, plan)
    else:
        after, effects = campaign, ()
    return after, judged + effects


def _completion(wave: Wave, event: Measured, now: datetime) -> Wave:
    if event.ended < event.figures.devices:
        return wave if wave.completed_at is None else replace(wave, completed_at=None)
    return wave if wave.completed_at is not None else replace(wave, completed_at=now)


def _look(
    wave: Wave, figures: Figures, rules: tuple[GateRule, ...], *, complete: bool
) -> tuple[Wave, list[Verdict]]:
    """Look at every gate that is due; a wave without devices has nothing to look at."""
    looks, verdicts = {look.gate: look for look in wave.looks}, []
    for rule in rules if figures.devices else ():
        last, sample = looks.get(rule.gate), sample_of(rule.gate, figures)
        if not _due(rule, last, sample, complete=complete):
            continue
        number = 1 if last is None else last.number
        verdict = judge(rule, figures, look=number)
        if rule.gate is Gate.INSTALL_SUCCESS and not complete and verdict.answer is not Answer.FAIL:
            continue
        # Only a look at enough of a sample spends confidence.
        spent = sample >= rule.minimum and rule.gate is not Gate.INSTALL_SUCCESS
        verdicts.append(verdict)
        looks[rule.gate] = Look(rule.gate, number + spent, sample, verdict.answer, final=complete)
    return replace(wave, looks=tuple(looks.values())), verdicts


def _due(rule: GateRule, last: Look | None, sample: int, *, complete: bool) -> bool:
    """A gate is looked at when its sample is large enough, has doubled, and at the end."""
    if complete and (last is None or not last.final):
        return True
    if rule.gate is Gate.INSTALL_SUCCESS:
        # No estimate but a count of the whole wave: looking costs nothing.
        return not complete
    if last is not None and last.final and last.answer is Answer.PASS:
        return False
    if sample < rule.minimum:
        return False
    return last is None or last.sample < rule.minimum or sample >= 2 * last.sample


def _conclude(campaign: Campaign, event: Measured, now: datetime, plan: Plan) -> Step:
    wave = campaign.waves[event.wave]
    looks = [wave.look_at(rule.gate) for rule in plan.gates]
    passed = event.figures.devices == 0 or all(
        look is not None and look.final and look.answer is Answer.PASS for look in looks
    )
    if passed:
        decided = replace(wave, status=WaveStatus.PASSED, decided_at=now)
        return _open_next(_with_wave(campaign, event.wave, decided), now, plan)
    since = wave.completed_at
    if since is None or now < since + plan.timing.soak + plan.timing.patience:
        return campaign, ()
    open_gates = ", ".join(
        str(look.gate) for look in looks if look is not None and look.answer is Answer.WAIT
    )
    reason = f"wave {event.wave + 1} is complete and undecided: {open_gates}"
    return replace(campaign, status=Status.PAUSED, reason=reason, paused_by_us=True), ()


def _fail(campaign: Campaign, number: int, why: Verdict, now: datetime, plan: Plan) -> Step:
    wave = replace(campaign.waves[number], status=WaveStatus.FAILED, decided_at=now)
    reason = f"wave {number + 1} failed {why.gate}: {why.explanation}"
    stopped = replace(_with_wave(campaign, number, wave), status=Status.STOPPED, reason=reason)
    waves = (number,) if plan.undo is Undo.WAVE else tuple(range(number + 1))
    return stopped, (UndoWaves(waves, reason), StopJobs(reason))


def _with_wave(campaign: Campaign, number: int, wave: Wave) -> Campaign:
    waves = (*campaign.waves[:number], wave, *campaign.waves[number + 1 :])
    return replace(campaign, waves=waves)
