"""Errors of the kit.

KitError
├── DatabaseUrlError   an operator mends the setting
├── AuditEntryError    what is to be logged is rejected
├── TlsFilesError      an operator mends certificate, key or authority
├── RevocationListError  the authority's lists cannot be read now
└── ProblemError       a request is answered with problem+json
"""

from __future__ import annotations

from collections.abc import Mapping


class KitError(Exception):
    """Something that services share does not work out."""


class DatabaseUrlError(KitError):
    """A database URL that no engine can be made from."""


class AuditEntryError(KitError):
    """An entry that the audit log does not take."""


class TlsFilesError(KitError):
    """Certificate, key or authority that no server can be made from."""


class RevocationListError(KitError):
    """A file of lists of revoked certificates that cannot be read."""


class ProblemError(KitError):
    """A request that is answered with a problem document (RFC 9457).

    ``slug`` is stable and names the kind of problem: clients branch on it.
    """

    def __init__(
        self, status: int, slug: str, detail: str, *, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.status, self.slug, self.detail = status, slug, detail
        self.headers = dict(headers or {})
