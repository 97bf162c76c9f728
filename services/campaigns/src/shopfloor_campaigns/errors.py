"""Errors of campaigns.

CampaignsError
├── SettingsError           an operator mends the settings
├── StoreUnavailableError   retry later
├── DatabaseTakenError      an operator stops the other process
├── RejectedError           the request is rejected; the state does not allow it, or it is unknown
│   ├── UnknownError        there is no such campaign, device or action
│   ├── ConflictError       not now, or not again with other content
│   └── TooLargeError       more than is ever taken
└── PlanError               an operator mends the plan
"""

from __future__ import annotations


class CampaignsError(Exception):
    """The service cannot do what it was asked to."""


class SettingsError(CampaignsError):
    """Settings that cannot be run; the message names the file and the keys."""


class StoreUnavailableError(CampaignsError):
    """The database is locked, full or away; nothing was written."""


class DatabaseTakenError(CampaignsError):
    """Another process writes to the database."""

    def __init__(self, database: str) -> None:
        super().__init__(f"{database}: another campaigns process has it, expected to be the only")
        self.database = database


class RejectedError(CampaignsError):
    """A request that changes nothing."""


class UnknownError(RejectedError):
    """There is no such thing, or it is another device's."""


class ConflictError(RejectedError):
    """The state does not allow it."""


class TooLargeError(RejectedError):
    """More bytes or items than are taken."""


class PlanError(CampaignsError):
    """A plan that cannot be carried out."""
