"""Errors of a device.

EdgeError
├── OperatorError              a person mends it; exit 2
│   ├── BundleError            the model bundle is not what was promised
│   │   └── DigestMismatchError
│   └── BrokerRefusedError     the broker does not let this device in
├── SourceError                a camera or file gives no frames
│   ├── SourceEndedError       a file is over, a live camera said end of stream
│   ├── SourceLostError        worth another try
│   └── SourceUnusableError    trying again does not help
└── JournalError               state.db cannot be written now; try again
"""

from __future__ import annotations

from pathlib import Path


class EdgeError(Exception):
    """Anything that a device's own code raises."""


class OperatorError(EdgeError):
    """Something that a person has to mend before the process can run."""


class BundleError(OperatorError):
    """A model bundle is absent or cannot be used."""


class DigestMismatchError(BundleError):
    """A file's content is not what the manifest promises."""

    def __init__(self, path: Path, *, expected: str, actual: str) -> None:
        super().__init__(f"{path}: sha256 is {actual}, expected {expected}")
        self.path, self.expected, self.actual = path, expected, actual


class BrokerRefusedError(OperatorError):
    """The broker answered, and refuses this device."""


class SourceError(EdgeError):
    """A source gives no frames."""


class SourceEndedError(SourceError):
    """There are no more frames."""


class SourceLostError(SourceError):
    """The source does not answer, now."""


class SourceUnusableError(SourceError):
    """What the URI names is not a video that this device can read."""


class JournalError(EdgeError):
    """The journal cannot be written now (disk full, read-only, locked)."""
