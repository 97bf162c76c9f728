"""What is said of an action, in the protocol's words."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from shopfloor_contracts.ddi import Execution, Feedback, Finished, Progress, Result, Status
from shopfloor_contracts.evidence import Evidence
from shopfloor_edge.agent.updater.desk import Box, Closed, Letter

STEPS = 5
"""download, self-test, shadow, trial, committed"""


def progress(
    action: str, at: datetime, execution: Execution, *details: str, step: int = 0
) -> Letter:
    """Say how far the action is; a later letter makes it worthless."""
    status = Status(
        execution=execution,
        result=Result(finished=Finished.NONE, progress=Progress(cnt=step, of=STEPS)),
        details=_short(details),
    )
    return _letter(Box.FEEDBACK, action, at, status, passing=True)


def ending(closed: Closed, at: datetime) -> Letter:
    """Say how the action ended."""
    finished = Finished.SUCCESS if closed.success else Finished.FAILURE
    status = Status(
        execution=Execution.REJECTED if closed.rejected else Execution.CLOSED,
        result=Result(finished=finished),
        details=_short(closed.details),
    )
    return _letter(Box.FEEDBACK, closed.action, at, status)


def cancelled(action: str, at: datetime, *, success: bool, detail: str) -> Letter:
    """Answer a cancellation: done, or too late."""
    finished = Finished.SUCCESS if success else Finished.FAILURE
    status = Status(
        execution=Execution.CLOSED if success else Execution.REJECTED,
        result=Result(finished=finished),
        details=_short([detail]),
    )
    return _letter(Box.CANCEL, action, at, status)


def evidence(action: str, report: Evidence) -> Letter:
    """Report what was observed."""
    return Letter(Box.EVIDENCE, action, report.model_dump_json(exclude_defaults=True))


def _letter(
    box: Box, action: str, at: datetime, status: Status, *, passing: bool = False
) -> Letter:
    feedback = Feedback(id=action, time=f"{at:%Y%m%dT%H%M%S}", status=status)
    return Letter(box, action, feedback.model_dump_json(exclude_none=True), passing)


def _short(details: Iterable[str]) -> list[str]:
    return [detail[:500] for detail in details if detail]
