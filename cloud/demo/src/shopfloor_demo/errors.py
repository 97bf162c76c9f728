"""Errors of the demo.

DemoError
├── OperatorError            the reader mends a setting or installs a package (exit 2)
│   ├── ToolMissingError     a program of the operating system is absent
│   └── ClipDigestError      a video file is not the one that was asked for
├── ConversionError          the clip did not survive its conversion
├── ProcessDiedError         a process ended that should have run on
└── WaitedTooLongError       something did not become true in time
"""

from __future__ import annotations

from pathlib import Path


class DemoError(Exception):
    """The demo cannot go on."""


class OperatorError(DemoError):
    """The reader of the message can mend it."""


class ToolMissingError(OperatorError):
    """A program that the operating system provides is not installed."""

    def __init__(self, program: str, *, package: str) -> None:
        super().__init__(
            f"{program} is not installed: it is in the package {package}, 'make setup' installs it"
        )
        self.program, self.package = program, package


class ClipDigestError(OperatorError):
    """A video file is not the published one."""

    def __init__(self, path: Path, *, expected: str, actual: str) -> None:
        super().__init__(f"{path}: sha256 is {actual}, expected {expected}")
        self.path, self.expected, self.actual = path, expected, actual


class ConversionError(DemoError):
    """The clip lost frames, or could not be encoded."""


class ProcessDiedError(DemoError):
    """A process ended that should have run on."""

    def __init__(self, name: str, *, returncode: int, log: Path, tail: str) -> None:
        last = f": {tail}" if tail else ""
        super().__init__(f"{name} ended with {returncode}, see {log}{last}")
        self.name, self.returncode, self.log = name, returncode, log


class WaitedTooLongError(DemoError):
    """Something did not become true in time."""

    def __init__(self, what: str, *, timeout_s: float) -> None:
        super().__init__(f"no {what} after {timeout_s:g} s")
        self.what, self.timeout_s = what, timeout_s
