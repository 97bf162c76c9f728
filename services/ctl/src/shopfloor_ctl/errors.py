"""Errors of shopfloorctl.

CtlError
├── MistakeError       the operator mends what was typed or a file: exit code 2
└── RefusedError       the service said no, or does not answer: exit code 1
"""

from __future__ import annotations


class CtlError(Exception):
    """A command cannot do what it was asked to."""


class MistakeError(CtlError):
    """What was typed, or a file that it names, is wrong."""


class RefusedError(CtlError):
    """A service did not do it; ``status`` is 0 when there was no answer."""

    def __init__(self, message: str, *, status: int = 0) -> None:
        super().__init__(message)
        self.status = status
