"""Errors of the registry. Those of the TUF repository are in ``trust``.

RegistryError
├── SettingsError           an operator mends the settings or the file of gates
├── RejectedError           the request is rejected: what it says is wrong
│   └── SignatureError      … a signature that does not fit
├── NotFoundError           the request is rejected: no such thing
├── ConflictError           the request is rejected as things are now
│   ├── VersionTakenError   … a version is never changed
│   └── GateError           … gates are not passed
├── TooLargeError           the request is rejected: more bytes than this registry takes
├── StoreUnavailableError   retry later
└── ArtefactError           retry later: the artefact store does not take or give a file
"""

from __future__ import annotations


class RegistryError(Exception):
    """The registry cannot do what it was asked to."""


class SettingsError(RegistryError):
    """Settings or gates that cannot be run; the message names the file and the keys."""


class RejectedError(RegistryError):
    """A request that is wrong in itself."""


class SignatureError(RejectedError):
    """A promotion that is not signed by a known key of its caller."""


class NotFoundError(RegistryError):
    """Nothing has that name."""


class ConflictError(RegistryError):
    """A request that does not fit what is stored."""


class VersionTakenError(ConflictError):
    """A version was uploaded before with other bytes."""

    def __init__(self, model: str, version: str, *, stored: str, given: str) -> None:
        super().__init__(
            f"{model} {version} is stored with sha256 {stored}, this one has {given}; "
            "a version is never changed: give it a new one"
        )
        self.stored, self.given = stored, given


class GateError(ConflictError):
    """A promotion that its evidence does not allow."""


class TooLargeError(RegistryError):
    """A body above its limit."""

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(f"the body has more than {limit_bytes} bytes")
        self.limit_bytes = limit_bytes


class StoreUnavailableError(RegistryError):
    """The database does not answer or does not take a write."""


class ArtefactError(RegistryError):
    """The artefact store does not take or give a file."""
