"""The campaign's pure machine, driven at random: a wave never begins before the last is decided."""

from datetime import UTC, datetime, timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from shopfloor_campaigns.domain.campaigns import (
    Aborted,
    Approved,
    Campaign,
    Judged,
    Measured,
    NotNow,
    OpenWave,
    Paused,
    Resumed,
    Started,
    Status,
    UndoWaves,
    WaveStatus,
    new_campaign,
    step,
)
from shopfloor_campaigns.domain.gates import Answer, Figures
from shopfloor_campaigns.domain.plan import Build, Gate, GateRule, Plan, Timing, Update
from shopfloor_contracts.targets import UpdateKind

BEGAN = datetime(2026, 3, 2, tzinfo=UTC)
BUILD = Build("model/a/1/x", frozenset({"x"}), "b" * 64, 1)
PLAN = Plan(
    name="a",
    selector="",
    update=Update(UpdateKind.MODEL, "a", "1", (BUILD,)),
    waves=(1, 0.5, 1.0),
    gates=(
        GateRule(Gate.INSTALL_SUCCESS, 0.8, 1),
        GateRule(Gate.COUNT_DIFFERENCE, 0.05, 100),
    ),
    timing=Timing(soak=timedelta(minutes=5), patience=timedelta(hours=1)),
)
ORDERS = st.sampled_from(
    [Approved(), Started(), Paused("p"), Resumed(), Resumed(overrule=True), Aborted("a")]
)


class Operators(RuleBasedStateMachine):
    """People order what they like while devices report what they like."""

    @initialize()
    def begin(self) -> None:
        self.campaign: Campaign = new_campaign(PLAN)
        self.now = BEGAN
        self.opened: list[int] = []
        self.failed_since_person = False

    @rule(order=ORDERS)
    def a_person_orders(self, order) -> None:
        try:
            self._take(order)
        except NotNow:
            return
        if isinstance(order, Resumed):
            self.failed_since_person = False

    @rule(minutes=st.integers(1, 120))
    def time_goes_by(self, minutes) -> None:
        self.now += timedelta(minutes=minutes)

    @precondition(lambda self: self.campaign.current is not None)
    @rule(
        ended=st.integers(0, 10),
        committed=st.integers(0, 10),
        only_old=st.integers(0, 40),
        agreed=st.sampled_from([0, 3, 90, 5000]),
    )
    def the_wave_is_measured(self, ended, committed, only_old, agreed) -> None:
        succeeded = min(ended, committed)
        figures = Figures(
            devices=10,
            succeeded=succeeded,
            failed=ended - succeeded,
            agreed=agreed,
            only_old=only_old,
        )
        before = self.campaign

        effects = self._take(Measured(before.current, figures, ended))

        failed = any(isinstance(e, Judged) and e.verdict.answer is Answer.FAIL for e in effects)
        if failed:
            assert self.campaign.status is Status.STOPPED
            assert any(isinstance(effect, UndoWaves) for effect in effects)
            self.failed_since_person = True
        if any(isinstance(effect, OpenWave) for effect in effects):
            assert before.status is Status.RUNNING
        passed = self.campaign.waves[before.current].status is WaveStatus.PASSED
        assert not passed or ended == 10

    @invariant()
    def no_wave_begins_before_the_last_is_decided(self) -> None:
        ended = (WaveStatus.PASSED, WaveStatus.OVERRULED)
        for earlier, later in zip(self.campaign.waves, self.campaign.waves[1:], strict=False):
            assert later.status is WaveStatus.WAITING or earlier.status in ended

    @invariant()
    def what_failed_stays_stopped_without_a_person(self) -> None:
        if self.failed_since_person:
            assert self.campaign.status in (Status.STOPPED, Status.ABORTED)

    @invariant()
    def a_round_of_a_wave_is_decided_once(self) -> None:
        assert len(self.opened) == len(set(self.opened))

    def _take(self, event) -> tuple:
        before = self.campaign
        self.campaign, effects = step(before, event, self.now, PLAN)
        for effect in effects:
            if isinstance(effect, OpenWave):
                self.opened.append((effect.wave, self.campaign.waves[effect.wave].round))
        for old, new in zip(before.waves, self.campaign.waves, strict=True):
            if old.decided_at is not None and old.round == new.round:
                assert new.decided_at == old.decided_at or new.status is WaveStatus.OVERRULED
        return effects


TestOperators = Operators.TestCase
TestOperators.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)
