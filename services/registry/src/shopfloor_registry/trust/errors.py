"""Errors of the trust side.

TrustError
├── KeyFileError          an operator mends a key file or types another passphrase
├── TargetTakenError      the request is rejected: a path never gets other bytes
├── UnknownTargetError    the request is rejected
├── StagedError           the request is rejected: what was signed is not what was staged
└── RepositoryError       an operator mends the folder; nothing was published
"""

from __future__ import annotations


class TrustError(Exception):
    """The repository cannot do what it was asked to."""


class KeyFileError(TrustError):
    """A key is missing, unreadable, or the passphrase is wrong."""


class TargetTakenError(TrustError):
    """A path is listed with other bytes or other metadata."""

    def __init__(self, path: str, *, listed: str, given: str) -> None:
        super().__init__(f"{path}: {given}, but {listed} is listed; a version is never changed")
        self.path, self.listed, self.given = path, listed, given


class UnknownTargetError(TrustError):
    """A path is not listed."""

    def __init__(self, path: str) -> None:
        super().__init__(f"{path}: no such target is listed")
        self.path = path


class StagedError(TrustError):
    """A signed document is not one that waits for a signature, or lacks valid signatures."""


class RepositoryError(TrustError):
    """The folder holds no repository, or one that does not verify."""
