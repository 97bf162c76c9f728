"""Errors of the identity service.

IdentityError
├── OperatorError            a person mends a setting, a file or the way of asking
│   ├── SettingsError
│   └── AuthorityError       keys or certificates of the authority are not there, or are no pair
├── StoreUnavailableError    retry later
└── RefusedError             the request is rejected and audited; ``slug`` says which kind
    └── UnknownError         there is no such certificate or device
"""

from __future__ import annotations


class IdentityError(Exception):
    """The service cannot do what it was asked to."""


class OperatorError(IdentityError):
    """Something that a person has to mend."""


class SettingsError(OperatorError):
    """Settings that cannot be run; the message names the file and the keys."""


class AuthorityError(OperatorError):
    """No authority can be used where one was expected."""


class StoreUnavailableError(IdentityError):
    """The database is locked, full or away; nothing was written."""


class RefusedError(IdentityError):
    """A request that gets nothing.

    Args:
        slug: stable name of the reason, in problem documents, in metrics and in the audit log.
        subject: what it was about, as far as the asker has shown that it exists; else empty, and
            then it is logged and counted but not audited: strangers do not fill the log.
    """

    def __init__(self, slug: str, detail: str, *, status: int = 403, subject: str = "") -> None:
        super().__init__(detail)
        self.slug, self.status, self.subject = slug, status, subject


class UnknownError(RefusedError):
    """There is no such thing."""

    def __init__(self, detail: str) -> None:
        super().__init__("not-found", detail, status=404)
