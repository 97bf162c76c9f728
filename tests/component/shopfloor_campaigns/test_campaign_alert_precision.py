"""What staff tap on a device decides a campaign: alert book, evidence, gate, in one process."""

import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from fakes.campaign_devices import NEW, OLD, plan
from shopfloor_contracts.alerts import AlertData
from shopfloor_contracts.evidence import Evidence, Phase
from shopfloor_contracts.feedback import FeedbackAction
from shopfloor_contracts.targets import UpdateKind
from shopfloor_edge.agent.updater.desk import Job
from shopfloor_edge.agent.updater.plan import Plan
from shopfloor_edge.agent.updater.reports import Reports
from shopfloor_edge.journal.alertbook import AlertBook, read_verdicts
from shopfloor_edge.journal.outbox import Draft, Outbox
from shopfloor_edge.journal.trials import Stretch, Trials
from shopfloor_edge.slots.domain import Ending, Release
from shopfloor_edge.slots.file import SlotsFile

BEGAN = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
RELEASE = Release(UpdateKind.MODEL, NEW, 1000, "model/person-nano/2.0/onnx-fp32", "p", "2.0")
GATES = [{"gate": "alert-precision", "limit": 0.5, "minimum": 20}]


class Trying:
    """A device in its trial, with an alert book that staff tap on."""

    def __init__(self, folder, action):
        self.folder, self.trials, self.book = folder, Trials(folder), AlertBook(folder)
        self.reports = Reports(self.trials, SlotsFile(folder), self.heard)
        self.job = Job(Plan(action, RELEASE.path), release=RELEASE, base=OLD)
        self.alerts = 0

    def heard(self, from_at, to_at):
        return read_verdicts(self.folder, from_s=from_at.timestamp(), to_s=to_at.timestamp())

    def alert(self, action, *, at=BEGAN, metric="people"):
        self.alerts += 1
        data = AlertData(
            alert_id=uuid.UUID(int=self.alerts),
            rule=f"rule-{self.alerts}",
            metric=metric,
            state="raised",
            severity="warning",
            at=at,
            since=at,
            value=1,
            threshold=0,
        )
        outbox = Outbox(self.folder, max_rows=1000, max_bytes=10**8)
        outbox.commit([Draft(data, "/sites/s1/devices/d1/cameras/door", at)])
        outbox.close()
        by = {"by": "anna", "at": at.timestamp() + 60}
        self.book.act(str(data.alert_id), FeedbackAction(action), **by)

    def saw(self, seconds):
        """Let vision note a stretch of the trial, and return the letters that report it."""
        ended = BEGAN + timedelta(seconds=seconds)
        report = Evidence(
            seq=0, phase=Phase.TRIAL, digest=NEW, began_at=BEGAN, ended_at=ended, observed_s=60
        )
        self.trials.add(Stretch("run", 60, 600, report))
        told = list(self.reports.observed(self.job, ended + timedelta(minutes=5), flush=True))
        self.job = told[-1][0] if told else self.job
        return [letter for _, letter in told]

    def committed(self):
        ending = Ending(self.job.plan.action, NEW, committed=True)
        now = BEGAN + timedelta(hours=1)
        self.job, letter = self.reports.ended(self.job, Phase.COMMITTED, ending, now)
        return letter

    def close(self):
        self.book.close()
        self.trials.close()


@pytest.fixture
def begun(cloud, tmp_path):
    devices = cloud.add(2, region="emea")
    cloud.create(plan(gates=GATES))
    cloud.ordered("nano-2", "approve", "start")
    [first] = [d for d in devices if cloud.states("nano-2")[d.name] != "waiting"]
    trying = Trying(tmp_path / "state", str(first.action()))
    yield first, trying
    trying.close()


@pytest.mark.parametrize(
    ("right", "wrong", "status"), [(28, 2, "passed"), (2, 28, "failed"), (10, 2, "open")]
)
def test_what_staff_say_in_the_trial_decides_the_wave(right, wrong, status, begun, cloud):
    device, trying = begun
    letters = trying.saw(60)
    for action, times in (("resolved", right), ("wrong", wrong), ("acknowledged", 5)):
        for _ in range(times):
            trying.alert(action)
    letters += [*trying.saw(120), trying.committed()]

    for letter in letters:
        place = f"deploymentBase/{letter.action}/evidence"
        headers = {"content-type": "application/json"}
        answer = device.request("POST", place, content=letter.body, headers=headers)
        assert answer.status_code == 200, answer.text
    device.say(int(trying.job.plan.action), "closed", "success")
    cloud.settle()

    assert cloud.waves("nano-2")[0] == status


def test_each_verdict_is_in_one_report_and_only_those_of_the_trials_alerts(begun):
    _, trying = begun
    trying.alert("wrong", at=BEGAN - timedelta(hours=1))
    trying.alert("wrong", metric="camera")
    trying.alert("resolved")
    letters = trying.saw(60)
    trying.alert("wrong")

    letters += [*trying.saw(120), trying.committed()]

    told = [Evidence.model_validate_json(letter.body) for letter in letters]
    assert [(one.alerts_right, one.alerts_wrong) for one in told] == [(1, 0), (0, 1), (0, 0)]


def test_a_job_that_has_no_trial_yet_tells_no_verdicts(begun):
    _, trying = begun
    trying.alert("wrong")
    trying.job = replace(trying.job, trial_from=None)

    letter = trying.committed()

    assert Evidence.model_validate_json(letter.body).alerts_wrong == 0
