"""Errors of the contracts.

ContractError
├── SiteFileError        an operator mends the site file
├── ZooError             an operator mends the model zoo file
├── SelectorError        an operator mends the label query
├── EventRejectedError   the receiver parks the message
└── DeltaError           the receiver takes the whole file instead
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


class SelectorError(ContractError):
    """A label query that is not of the language."""


class EventRejectedError(ContractError):
    """A message is not an event that this version understands.

    ``reason`` is one of a small fixed set of words, fit for a metric label.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason, self.detail = reason, detail


class DeltaError(ContractError, ValueError):
    """A delta is damaged, hostile or for another base; nothing of its result is left."""
