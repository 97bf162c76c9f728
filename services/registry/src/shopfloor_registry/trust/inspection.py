"""How the repository stands: what expires when, and whether everything in it verifies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from tuf.api.exceptions import LengthOrHashMismatchError
from tuf.api.exceptions import RepositoryError as TufError

from shopfloor_registry.trust.chain import Chain
from shopfloor_registry.trust.errors import RepositoryError
from shopfloor_registry.trust.repository import Repository
from shopfloor_registry.trust.roles import (
    BIN,
    DUE,
    OFFLINE,
    ROOT,
    SNAPSHOT,
    TARGETS,
    TIMESTAMP,
    role_kind,
)


@dataclass(frozen=True, slots=True)
class RoleStatus:
    """One role; of the bins, the one that expires first."""

    role: str
    version: int
    expires_at: datetime
    threshold: int
    keys: tuple[str, ...]
    """Key ids, shortened."""
    warning: str
    """Empty while all is well."""


def status(repository: Repository, *, now: datetime) -> list[RoleStatus]:
    """Return every role's version, expiry and keys, root first."""
    chain = repository.chain
    root, targets = chain.root(), chain.targets()
    bins = chain.delegated()
    first = min(bins.get_roles(), key=lambda role: chain.bin(role).signed.expires)
    found = []
    for role, signed in (
        (ROOT, root.signed),
        (TARGETS, targets.signed),
        (first, chain.bin(first).signed),
        (SNAPSHOT, chain.snapshot().signed),
        (TIMESTAMP, chain.timestamp().signed),
    ):
        rule = bins if role == first else root.signed.roles[role]
        keys = tuple(sorted(key[:16] for key in rule.keyids))
        warning = _warning(role, signed.expires, now)
        found.append(
            RoleStatus(role, signed.version, signed.expires, rule.threshold, keys, warning)
        )
    return found


def expiries(repository: Repository, *, now: Callable[[], datetime]) -> dict[str, datetime]:
    """Return when each kind of role expires; of the bins, the first."""
    return {role_kind(one.role): one.expires_at for one in status(repository, now=now())}


def verify(repository: Repository, *, now: datetime) -> int:
    """Check every root against the one before it, every signature, expiry and file.

    Returns:
        How many targets were read and found to be what is listed.

    Raises:
        RepositoryError: the first thing that is not as it must be.
    """
    chain = repository.chain
    _check_roots(chain)
    for one in status(repository, now=now):
        if one.expires_at <= now:
            raise RepositoryError(f"{one.role} expired at {one.expires_at:%Y-%m-%d %H:%M}")
    listing = chain.listing()
    for path, target in listing.items():
        try:
            with repository.target_file(target).open("rb") as file:
                target.verify_length_and_hashes(file)
        except (OSError, LengthOrHashMismatchError) as e:
            raise RepositoryError(f"{path}: {e}") from e
    return len(listing)


def _check_roots(chain: Chain) -> None:
    for version in range(2, chain.root_version() + 1):
        old, new = chain.root(version - 1), chain.root(version)
        try:
            for delegator in (old, new):
                delegator.signed.verify_delegate(ROOT, new.signed_bytes, new.signatures)
        except TufError as e:
            raise RepositoryError(f"root version {version}: {e}") from e


def _warning(role: str, expires: datetime, now: datetime) -> str:
    left = expires - now
    kind = role_kind(role)
    if left >= DUE[kind]:
        return ""
    told = "expired" if left.total_seconds() <= 0 else f"expires in {left.days} days"
    who = "trust renew" if kind in (*OFFLINE, BIN) else "trust publish"
    return f"{told}: {who}"
