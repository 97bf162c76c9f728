"""Errors of the stack.

StackError
├── OperatorError            a person mends a setting or installs a package (exit 2)
│   ├── PackageMissingError  a program of the operating system is absent
│   └── PortTakenError       somebody else listens where a part should
└── PartFailedError          a part ended, or was not ready in time
"""

from __future__ import annotations

from pathlib import Path


class StackError(Exception):
    """The stack cannot go on."""


class OperatorError(StackError):
    """The reader of the message can mend it."""


class PackageMissingError(OperatorError):
    """Programs that the operating system provides are not installed."""

    def __init__(self, programs: list[str], packages: list[str]) -> None:
        super().__init__(
            f"not installed: {', '.join(programs)}; 'make setup' installs them as root or with "
            f"sudo, or: apt-get install {' '.join(packages)}"
        )
        self.programs, self.packages = programs, packages


class PortTakenError(OperatorError):
    """Somebody else listens on a part's port."""

    def __init__(self, part: str, port: int) -> None:
        super().__init__(
            f"{part}: port {port} of 127.0.0.1 is taken by another program; "
            f"end it, or take another: SHOPFLOOR_PORTS={part}=PORT"
        )
        self.part, self.port = part, port


class PartFailedError(StackError):
    """A part does not do what it should."""

    def __init__(self, part: str, complaint: str, log: Path) -> None:
        super().__init__(f"{part}: {complaint}; see {log}")
        self.part, self.complaint, self.log = part, complaint, log
