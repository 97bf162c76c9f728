"""Errors of ingest.

IngestError
├── SettingsError           an operator mends the settings
├── BrokerRefusedError      an operator mends the account or the broker's rules
├── StoreUnavailableError   retry later
├── QueryError              the request is rejected
└── UnknownSiteError        the request is rejected
"""

from __future__ import annotations


class IngestError(Exception):
    """Ingest cannot do what it was asked to."""


class SettingsError(IngestError):
    """Settings that cannot be run; the message names the file and the keys."""


class BrokerRefusedError(IngestError):
    """The broker answers, and does not want us."""


class StoreUnavailableError(IngestError):
    """The database is locked, full or away; nothing was written."""


class QueryError(IngestError):
    """A question that has no answer."""


class UnknownSiteError(IngestError):
    """No device of that site was ever heard."""

    def __init__(self, site: str) -> None:
        super().__init__(f"no device of site {site!r} was ever heard")
        self.site = site
