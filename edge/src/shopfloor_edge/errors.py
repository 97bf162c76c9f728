"""Errors of a device.

EdgeError
├── OperatorError              a person mends it; exit 2
│   ├── BundleError            the model bundle is not what was promised
│   │   └── DigestMismatchError
│   ├── BackendUnavailableError  a runtime or its hardware is not on this device
│   ├── MetricsPortError       another process has the port for metrics
│   ├── IdentityError          key or certificate of this device cannot be used
│   │   ├── NotEnrolledError   there is none yet
│   │   ├── IdentityRefusedError  the identity service refuses this device
│   │   ├── SealError          what is sealed does not open here
│   │   └── TpmError           no TPM, or it refuses
│   └── BrokerRefusedError     the broker does not let this device in
├── SourceError                a camera or file gives no frames
│   ├── SourceEndedError       a file is over, a live camera said end of stream
│   ├── SourceLostError        worth another try
│   └── SourceUnusableError    trying again does not help
│       └── SourceRefusedError user or password refused
├── UpdateError                an update is not installed; what runs goes on
│   ├── UpdateRefusedError     it cannot be trusted, or does not fit: trying again does not help
│   │   └── DiskFullError
│   └── UpdateDelayedError     network or server, now; try again
├── NoticeDelayedError         whoever is to be told does not take it now; try again
├── IdentityDelayedError       the identity service does not answer now; try again
├── OutputError                a way to or from the line cannot be opened now; try again
├── AlertUnknownError          no alert has this identity: reject what asked for it
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


class BackendUnavailableError(OperatorError):
    """A runtime or its hardware is not on this device.

    Args:
        extra: extra of ``shopfloor-edge`` that brings the runtime, where pip can.
    """

    def __init__(self, backend: str, reason: str, *, extra: str = "") -> None:
        hint = f"; 'pip install shopfloor-edge[{extra}]' brings it" if extra else ""
        super().__init__(f"{backend}: {reason}{hint}")
        self.backend, self.reason, self.extra = backend, reason, extra


class MetricsPortError(OperatorError):
    """The port for metrics cannot be listened on."""

    def __init__(self, host: str, port: int, reason: str) -> None:
        super().__init__(f"{host}:{port}: {reason}; [metrics] port names another")
        self.host, self.port, self.reason = host, port, reason


class IdentityError(OperatorError):
    """Key or certificate of this device cannot be used."""


class NotEnrolledError(IdentityError):
    """This device has no certificate yet."""


class IdentityRefusedError(IdentityError):
    """The identity service answered, and refuses."""

    def __init__(self, slug: str, detail: str) -> None:
        super().__init__(f"identity service: {detail}")
        self.slug = slug


class SealError(IdentityError):
    """What is sealed does not open on this device."""


class TpmError(IdentityError):
    """There is no TPM, its tools are absent, or it refuses."""


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


class SourceRefusedError(SourceUnusableError):
    """The camera does not accept the user or password; trying often may lock the account."""


class IdentityDelayedError(EdgeError):
    """The identity service or the way to it does not do its part now."""


class OutputError(EdgeError):
    """An output of a station, or its trigger, cannot be opened or used now."""


class AlertUnknownError(EdgeError):
    """The alert book holds no such alert (any more)."""

    def __init__(self, alert_id: str) -> None:
        super().__init__(f"no alert {alert_id[:36]!r} in the alert book")
        self.alert_id = alert_id


class JournalError(EdgeError):
    """The journal cannot be written now (disk full, read-only, locked)."""


class UpdateError(EdgeError):
    """An update is not installed."""


class UpdateRefusedError(UpdateError):
    """What is offered cannot be trusted, does not fit this device, or is not there."""


class DiskFullError(UpdateRefusedError):
    """There is no room for the update."""

    def __init__(self, *, needed_bytes: int, free_bytes: int, reserve_bytes: int) -> None:
        super().__init__(
            f"disk has {free_bytes} bytes free, expected {needed_bytes} for the update and "
            f"{reserve_bytes} in reserve"
        )
        self.needed_bytes, self.free_bytes = needed_bytes, free_bytes


class UpdateDelayedError(UpdateError):
    """The server or the way to it does not do its part now."""


class NoticeDelayedError(EdgeError):
    """A notice was not taken by the service or server that carries it."""
