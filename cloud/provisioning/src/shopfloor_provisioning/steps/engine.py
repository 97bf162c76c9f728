"""Runs the steps of one device in order: what differs, what was done, and that it holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from shopfloor_provisioning.errors import DeviceError, OperatorError, ProvisioningError
from shopfloor_provisioning.machine import Machine
from shopfloor_provisioning.steps.ports import Change, Step


class Tell(Protocol):
    """Hears of a step twice where it has changes: before, and when they are done."""

    def __call__(self, step: str, changes: list[Change], *, done: bool) -> None:
        """Take note."""
        ...


@dataclass(frozen=True, slots=True)
class Difference:
    """What a step would change, or has changed."""

    step: str
    changes: tuple[Change, ...]


def plan(machine: Machine, steps: Sequence[Step]) -> list[Difference]:
    """Return what differs; nothing is changed."""
    looked = [Difference(step.name, tuple(step.look(machine))) for step in steps]
    return [difference for difference in looked if difference.changes]


def apply(machine: Machine, steps: Sequence[Step], tell: Tell) -> list[Difference]:
    """Do what differs, step by step; return what was changed.

    Raises:
        ProvisioningError: a step did not work, or still differs when it is done; names the step
            and says what stands, so that the same command goes on from there.
    """
    done: list[Difference] = []
    for step in steps:
        changes: list[Change] = []
        try:
            changes = step.look(machine)
            tell(step.name, changes, done=False)
            if not changes:
                continue
            step.do(machine)
            left = step.look(machine)
        except DeviceError as e:
            raise type(e)(machine.device, f"{step.name}: {e.complaint}; {_stands(done)}") from e
        except ProvisioningError as e:
            kind = OperatorError if isinstance(e, OperatorError) else ProvisioningError
            raise kind(f"{machine.device}: {step.name}: {e}; {_stands(done)}") from e
        if left:
            raise DeviceError(
                machine.device,
                f"{step.name}: still differs when it is done: {left[0].what}; {_stands(done)}",
            )
        done.append(Difference(step.name, tuple(changes)))
        tell(step.name, changes, done=True)
    return done


def _stands(done: Sequence[Difference]) -> str:
    if not done:
        return "nothing was changed before it; mend it and apply again"
    names = ", ".join(difference.step for difference in done)
    return f"done before it and kept: {names}; mend it and apply again"
