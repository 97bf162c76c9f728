"""What a step is, and what it is told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from shopfloor_provisioning.machine import Machine

SERVICE = "shopfloor"
"""Account of the processes on a device."""


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that differs from what is wanted."""

    what: str
    """One line, for a plan."""
    diff: tuple[str, ...] = ()
    """Lines of a unified diff, where it is a text without secrets."""


class Step(Protocol):
    """One kind of thing. What is to do is found by looking at the device, never remembered."""

    @property
    def name(self) -> str:
        """Short, for progress and errors."""
        ...

    def look(self, machine: Machine) -> list[Change]:
        """Return what differs; changes nothing, and works on a host where nothing is yet."""
        ...

    def do(self, machine: Machine) -> None:
        """Make it so; after a cut at any point it can be done again.

        Raises:
            DeviceError: it did not work.
        """
        ...
