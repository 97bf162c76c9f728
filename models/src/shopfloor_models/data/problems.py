"""What is wrong with a dataset, one line each."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """Whether training is refused."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Problem:
    """One finding of a gate."""

    gate: str
    severity: Severity
    where: str
    """The file, the source or the dataset that it is about."""
    message: str

    def line(self) -> str:
        """Return it as people read it."""
        return f"{self.severity}: {self.gate}: {self.where}: {self.message}"


def error(gate: str, where: object, message: object) -> Problem:
    """Return a problem that refuses training."""
    return Problem(gate, Severity.ERROR, str(where), str(message))


def warning(gate: str, where: object, message: object) -> Problem:
    """Return a problem that a person should look at."""
    return Problem(gate, Severity.WARNING, str(where), str(message))
