"""Errors of ingest.

IngestError
├── SettingsError           an operator mends the settings
├── BrokerRefusedError      an operator mends the account or the broker's rules
├── BackupError             an operator gives another file, database or program
├── StoreUnavailableError   retry later
├── QueryError              the request is rejected
├── UnknownSiteError        the request is rejected
├── UnknownDeviceError      an operator names another one
└── DevicePresentError      an operator turns it off first
"""

from __future__ import annotations


class IngestError(Exception):
    """Ingest cannot do what it was asked to."""


class SettingsError(IngestError):
    """Settings that cannot be run; the message names the file and the keys."""


class BrokerRefusedError(IngestError):
    """The broker answers, and does not want us."""


class BackupError(IngestError):
    """A backup that cannot be made, or is not one that can be restored here."""


class StoreUnavailableError(IngestError):
    """The database is locked, full or away; nothing was written."""


class QueryError(IngestError):
    """A question that has no answer."""


class UnknownSiteError(IngestError):
    """No device of that site was ever heard."""

    def __init__(self, site: str) -> None:
        super().__init__(f"no device of site {site!r} was ever heard")
        self.site = site


class UnknownDeviceError(IngestError):
    """No device of that name was ever heard at that site."""

    def __init__(self, site: str, device: str) -> None:
        super().__init__(f"no device {device!r} of site {site!r} is listed")
        self.site, self.device = site, device


class DevicePresentError(IngestError):
    """A device that is to be removed is online."""

    def __init__(self, site: str, device: str) -> None:
        super().__init__(f"device {device!r} of site {site!r} is online, turn it off first")
        self.site, self.device = site, device
