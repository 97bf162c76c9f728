"""The application's way from the slots to what the processes run."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from shopfloor_contracts.targets import UpdateKind
from shopfloor_edge.slots.applications import Home, running_application
from shopfloor_edge.slots.domain import Attempt, Slots
from shopfloor_edge.slots.file import SlotsFile


@dataclass(frozen=True, slots=True)
class Switching:
    """``home`` is None on a device whose processes no launcher starts."""

    home: Home | None
    file: SlotsFile

    def follow(self) -> None:
        """Make the links what the slots say.

        Raises:
            OSError, JournalError: the disk refuses.
        """
        if self.home is not None:
            self.home.follow(self.file)

    def keep_only(self, digests: Collection[str]) -> None:
        """Remove venvs that nothing needs."""
        if self.home is not None:
            self.home.keep_only(digests)

    def active(self, slots: Slots, kind: UpdateKind) -> str:
        """Return the digest of what runs for good; empty for what has none."""
        if kind is UpdateKind.OS:
            return ""
        active = slots.pair(kind).active
        if active is not None:
            return active.digest
        return self.provisioned(kind)

    def provisioned(self, kind: UpdateKind) -> str:
        """Return the digest of what the device was provisioned with, where that is known."""
        if self.home is None or kind is not UpdateKind.WHEELS:
            return ""
        return self.home.provisioned()


def is_judge(attempt: Attempt | None, *, reached: bool) -> bool:
    """Return whether this process may commit an attempt.

    An application is judged by the agent that it brings, and only after that one has found its
    way to the campaigns: one that cannot would never be replaced again.
    """
    if attempt is None or attempt.release.kind is not UpdateKind.WHEELS:
        return True
    return reached and running_application() == attempt.release.digest
