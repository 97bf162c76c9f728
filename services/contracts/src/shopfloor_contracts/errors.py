"""Errors of the contracts.

ContractError
├── SiteFileError        an operator mends the site file
├── RecipeError          an operator mends the recipe of a station
├── ZooError             an operator mends the model zoo file
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


class RecipeError(ContractError):
    """A recipe says something that cannot be run."""

    def __init__(self, source: str, problems: list[str]) -> None:
        super().__init__(f"{source}: " + "; ".join(problems))
        self.source, self.problems = source, problems


class ZooError(ContractError):
    """A model zoo file is malformed."""


class EventRejectedError(ContractError):
    """A message is not an event that this version understands.

    ``reason`` is one of a small fixed set of words, fit for a metric label.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason, self.detail = reason, detail
