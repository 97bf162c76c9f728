"""``python -m shopfloor_provisioning.worker``: works on one device; a job in, JSON lines out.

A process of its own, because pyinfra keeps one device's state module-wide. Its output is its leash:
when nobody reads any more, it ends.
"""

from __future__ import annotations

import sys

from pydantic import ValidationError

from shopfloor_provisioning.collecting import collect, states
from shopfloor_provisioning.destroying import destroy
from shopfloor_provisioning.device import Plan, address_of, open_plan
from shopfloor_provisioning.errors import OperatorError, ProvisioningError, WheelhouseError
from shopfloor_provisioning.job import Action, Changed, Job, Line, Progress, Result
from shopfloor_provisioning.machine import Machine, connect
from shopfloor_provisioning.preflight import Facts, judge, judge_wheels, look
from shopfloor_provisioning.secrets import Secrets
from shopfloor_provisioning.steps import engine
from shopfloor_provisioning.steps.people import Staff
from shopfloor_provisioning.steps.ports import Change


def main() -> int:
    """Do the job on standard input; the last line says what came of it."""
    try:
        job = Job.model_validate_json(sys.stdin.read())
    except ValidationError:
        # What it holds is not repeated: there are secrets in it.
        print("shopfloor-site: no job can be read from standard input", file=sys.stderr)
        return 2
    try:
        result = _work(job)
    except ProvisioningError as e:
        text = Secrets(job.secrets).hide(str(e))
        result = Result(error=text, operator=isinstance(e, OperatorError))
    _say(Line(result=result))
    return 0


def _work(job: Job) -> Result:
    plan = open_plan(job)
    password = plan.device.password_secret
    address = address_of(plan.device, job.store, job.var)
    machine = connect(address, password=None if password is None else job.secrets[password])
    try:
        return _WORK[job.action](plan, machine)
    finally:
        machine.close()


def _check(plan: Plan, machine: Machine) -> Result:
    facts = look(machine, plan.packages)
    problems = list(judge(plan.device, facts))
    if not problems:
        try:
            problems += judge_wheels(facts, plan.wheels(facts))
        except WheelhouseError as e:
            problems += judge_wheels(facts, e)
    return Result(problems=problems)


def _plan(plan: Plan, machine: Machine) -> Result:
    return _result(engine.plan(machine, plan.steps(_facts(machine))))


def _apply(plan: Plan, machine: Machine) -> Result:
    def tell(step: str, changes: list[Change], *, done: bool) -> None:
        _say(Line(progress=Progress(step=step, changes=len(changes), done=done)))

    steps = plan.steps(_facts(machine))
    changed = engine.apply(machine, steps, tell)
    made = [step.on_pin for step in steps if isinstance(step, Staff)]
    return _result(changed, pins=dict(pair for pairs in made for pair in pairs))


def _result(found: list[engine.Difference], pins: dict[str, str] | None = None) -> Result:
    changes = [
        Changed(step=difference.step, what=change.what, diff=list(change.diff))
        for difference in found
        for change in difference.changes
    ]
    return Result(changes=changes, pins=pins or {})


def _status(plan: Plan, machine: Machine) -> Result:
    return Result(processes=states(plan, machine))


def _collect(plan: Plan, machine: Machine) -> Result:
    return Result(collected=collect(plan, machine, _facts(machine)))


def _destroy(plan: Plan, machine: Machine) -> Result:
    removed = destroy(plan, machine, _facts(machine))
    return Result(changes=[Changed(step="destroy", what=what) for what in removed])


def _facts(machine: Machine) -> Facts:
    return look(machine, ())


def _say(line: Line) -> None:
    print(line.model_dump_json(exclude_none=True), flush=True)


_WORK = {
    Action.CHECK: _check,
    Action.PLAN: _plan,
    Action.APPLY: _apply,
    Action.STATUS: _status,
    Action.COLLECT: _collect,
    Action.DESTROY: _destroy,
}


if __name__ == "__main__":
    sys.exit(main())
