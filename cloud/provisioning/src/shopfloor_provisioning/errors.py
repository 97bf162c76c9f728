"""Errors of provisioning.

ProvisioningError
├── OperatorError         a person mends a file, a setting or a host (exit 2)
│   ├── StoreFileError    the site's file says something that cannot be done
│   ├── SecretError       a secret is missing, or cannot be opened
│   ├── PreflightError    a host is not fit; every problem of every device at once
│   └── WheelhouseError   wheels are missing or damaged
└── DeviceError           a device did not do what it should; running again goes on from there
    └── UnreachableError  it does not answer, or does not let us in
"""

from __future__ import annotations

from pathlib import Path


class ProvisioningError(Exception):
    """The command cannot go on."""


class OperatorError(ProvisioningError):
    """The reader of the message can mend it."""


class StoreFileError(OperatorError):
    """The file of a site cannot be used; all of its problems."""

    def __init__(self, path: Path, problems: list[str]) -> None:
        super().__init__("\n".join(f"{path}: {problem}" for problem in problems))
        self.path, self.problems = path, problems


class SecretError(OperatorError):
    """A secret is not where it should be; its value is never part of the message."""


class PreflightError(OperatorError):
    """Hosts are not fit; nothing has been changed on any of them."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join([*problems, "nothing has been changed"]))
        self.problems = problems


class WheelhouseError(OperatorError):
    """The folder of wheels cannot serve a device."""


class DeviceError(ProvisioningError):
    """A step did not work on a device; what was done before it stands."""

    def __init__(self, device: str, complaint: str) -> None:
        super().__init__(f"{device}: {complaint}")
        self.device, self.complaint = device, complaint


class UnreachableError(DeviceError):
    """No session with the device; says what to look at."""
