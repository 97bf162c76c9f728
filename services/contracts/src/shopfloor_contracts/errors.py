"""Errors of the contracts.

ContractError
├── SiteFileError        an operator mends the site file
├── ZooError             an operator mends the model zoo file
├── SelectorError        an operator mends the label query
├── ArchiveError         the input is rejected: no bundle, or a damaged one
├── DeltaError           the receiver takes the whole file instead
└── EventRejectedError   the receiver parks the message
"""

from __future__ import annotations


class ContractError(Exception):
    """Something said does not follow the contract."""


class SiteFileError(ContractError):
    """A site file says something that cannot be run."""

    def __init__(self, source: str, problems: list[str]) -> None:
        super().__init__(f"{source}: " + "; ".join(problems))
        self.source, self.problems = source, problems


class ZooError(ContractError):
    """A model zoo file is malformed."""


class ArchiveError(ContractError):
    """A file is not the bundle archive that it should be."""


class SelectorError(ContractError):
    """A query for devices that cannot be read; the message says where."""

    def __init__(self, text: str, at: int, complaint: str) -> None:
        super().__init__(f"query {text!r}, character {at + 1}: {complaint}")
        self.text, self.at = text, at


class EventRejectedError(ContractError):
    """A message is not an event that this version understands.

    ``reason`` is one of a small fixed set of words, fit for a metric label.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason, self.detail = reason, detail


class DeltaError(ContractError, ValueError):
    """A delta is damaged, hostile or for another base; nothing of its result is left."""
