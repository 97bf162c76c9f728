"""What people found in a trial's clips reaches the campaign once."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

from shopfloor_contracts.evidence import Evidence, Phase
from shopfloor_contracts.targets import UpdateKind
from shopfloor_edge.agent.updater.desk import Job
from shopfloor_edge.agent.updater.plan import Plan
from shopfloor_edge.agent.updater.reports import Reports
from shopfloor_edge.journal.audits import AuditSums
from shopfloor_edge.journal.trials import Stretch, Trials
from shopfloor_edge.slots.domain import Release
from shopfloor_edge.slots.file import SlotsFile

NOW = datetime(2026, 11, 2, 12, tzinfo=UTC)
DIGEST = "a" * 64


def a_job() -> Job:
    release = Release(UpdateKind.MODEL, DIGEST, 1, "model/m", "m", "1")
    return Job(Plan("7", "model/m"), release=release)


def test_a_report_holds_what_was_found_since_the_report_before(tmp_path):
    found = [AuditSums(9, 1, 0), AuditSums(9, 1, 0), AuditSums(19, 1, 2)]
    trials = Trials(tmp_path)
    reports = Reports(trials, SlotsFile(tmp_path), audited=lambda _from, _to: found.pop(0))
    job, told = a_job(), []
    for minute in range(3):
        stretch = Evidence(
            seq=0,
            phase=Phase.TRIAL,
            digest=DIGEST,
            began_at=NOW + timedelta(minutes=minute),
            ended_at=NOW + timedelta(minutes=minute + 1),
        )
        trials.add(Stretch("run", 60.0, 600, stretch))
        at = NOW + timedelta(minutes=minute + 1)
        ((job, letter),) = reports.observed(job, at, flush=True)
        told.append(Evidence.model_validate(json.loads(letter.body)))
    trials.close()

    assert [(e.audit_agreed, e.audit_missed, e.audit_false) for e in told] == [
        (9, 1, 0),
        (0, 0, 0),
        (10, 0, 2),
    ]
