"""One device's part, driven at random: whatever it says and whenever, it is never stuck."""

from datetime import UTC, datetime, timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from shopfloor_campaigns.domain.jobs import (
    ENDED,
    WITH_ACTION,
    CancelSaid,
    Dispatched,
    Effect,
    Fetched,
    Job,
    JobState,
    Opened,
    Reached,
    Said,
    StopAsked,
    Ticked,
    UndoAsked,
    step,
)
from shopfloor_campaigns.domain.plan import Build, Plan, Retries, Timing, Update
from shopfloor_contracts.ddi import Execution, Finished
from shopfloor_contracts.evidence import Phase
from shopfloor_contracts.targets import UpdateKind

BEGAN = datetime(2026, 3, 2, tzinfo=UTC)
DEADLINE, CANCEL = timedelta(hours=6), timedelta(minutes=30)
PLAN = Plan(
    name="a",
    selector="",
    update=Update(
        UpdateKind.MODEL, "a", "1", (Build("model/a/1/x", frozenset({"x"}), "b" * 64, 1),)
    ),
    waves=(1.0,),
    gates=(),
    timing=Timing(deadline=DEADLINE, cancel=CANCEL),
    retries=Retries(attempts=3),
)
SAID = st.builds(Said, st.sampled_from(Execution), st.sampled_from(Finished), st.just("d"))
CLOSES = {
    Effect.CLOSE_SUCCESS,
    Effect.CLOSE_FAILURE,
    Effect.CLOSE_CANCELLED,
    Effect.CLOSE_EXPIRED,
}


class Devices(RuleBasedStateMachine):
    """A device speaks of its action in any order, again, and late; people stop and take back."""

    @initialize()
    def begin(self) -> None:
        self.now, self.has_action = BEGAN, False
        self.job, _ = step(Job(), Opened(), self.now, PLAN)

    @rule(minutes=st.integers(1, 90))
    def time_goes_by(self, minutes) -> None:
        self.now += timedelta(minutes=minutes)
        self._take(Ticked())

    @rule()
    def it_is_given_an_action(self) -> None:
        due = self.job.ready_at is None or self.job.ready_at <= self.now
        if self.job.state in (JobState.QUEUED, JobState.RETRYING) and due:
            self.has_action = True
            self._take(Dispatched())

    @rule(
        event=st.one_of(
            SAID,
            st.builds(Reached, st.sampled_from(Phase)),
            st.builds(CancelSaid, st.booleans()),
            st.just(Fetched()),
        ),
        times=st.integers(1, 3),
    )
    def it_speaks(self, event, times) -> None:
        for _ in range(times):
            # What comes after an action has closed is kept as history and not told to the job.
            if self.has_action:
                self._take(event)

    @rule(event=st.sampled_from([StopAsked("stop"), UndoAsked("back")]))
    def people_take_it_back(self, event) -> None:
        self._take(event)

    @rule(event=st.sampled_from([Opened(), Fetched(), Dispatched()]))
    def what_means_nothing_once_it_has_ended_changes_nothing(self, event) -> None:
        if self.job.ended:
            before = self.job

            self._take(event)

            assert self.job == before

    @invariant()
    def an_action_is_open_exactly_in_the_states_that_have_one(self) -> None:
        assert self.has_action == (self.job.state in WITH_ACTION)

    @invariant()
    def whoever_has_not_ended_has_a_deadline_that_ends_it(self) -> None:
        if self.job.state in ENDED:
            return
        assert self.job.deadline_at is not None
        assert self.job.deadline_at <= self.now + DEADLINE

        ended, effects = step(self.job, Ticked(), self.job.deadline_at, PLAN)

        assert ended.ended
        assert bool(CLOSES & set(effects)) == self.has_action

    @invariant()
    def it_is_tried_as_often_as_the_plan_says(self) -> None:
        assert self.job.attempt <= PLAN.retries.attempts

    def _take(self, event) -> None:
        self.job, effects = step(self.job, event, self.now, PLAN)
        closed = CLOSES & set(effects)
        assert len(closed) <= 1
        assert not closed or self.has_action
        if closed:
            self.has_action = False


TestDevices = Devices.TestCase
TestDevices.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)
