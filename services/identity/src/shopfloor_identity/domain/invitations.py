"""One-time tokens: ``sfe_<id>_<secret>``, bound to a device's name and to its hardware's serial."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from datetime import datetime

from shopfloor_identity.errors import RefusedError

FAILURES_MAX = 5
"""Wrong uses after which a token is dead: somebody else has it."""

_TOKEN = re.compile(r"sfe_([0-9a-f]{12})_([A-Za-z0-9_-]{43})")


@dataclass(frozen=True, slots=True)
class Invitation:
    """What is known of a token; not the token."""

    id: str
    name: str
    """``SITE/DEVICE`` of the device that it lets in."""
    serial: str
    digest: str
    hosts: tuple[str, ...]
    expires_at: datetime
    used_at: datetime | None
    failures: int


def new_token() -> tuple[str, str, str]:
    """Return id, digest and token; the token is not to be kept."""
    identity, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
    # 256 bits from the system's generator: there is nothing to guess, one hash is enough.
    return identity, _digest(secret), f"sfe_{identity}_{secret}"


def parse_token(token: str) -> tuple[str, str]:
    """Return id and secret. Raises ``RefusedError``."""
    found = _TOKEN.fullmatch(token)
    if found is None:
        raise _unknown()
    return found[1], found[2]


def check(invitation: Invitation | None, secret: str, serial: str, now: datetime) -> Invitation:
    """Return the invitation that may be used now.

    Raises:
        RefusedError: unknown, used, too old, or of another machine. Who does not hold the secret
            learns no more than that.
    """
    right = hmac.compare_digest(_digest(secret), invitation.digest if invitation else "0" * 64)
    if invitation is None or not right:
        raise _unknown()
    name = invitation.name
    if invitation.used_at is not None:
        detail = f"the token of {name} was used at {invitation.used_at:%Y-%m-%d %H:%M} UTC"
        raise RefusedError("token-used", detail, subject=name)
    if invitation.failures >= FAILURES_MAX:
        detail = f"the token of {name} was used wrongly {invitation.failures} times; make another"
        raise RefusedError("token-dead", detail, subject=name)
    if now >= invitation.expires_at:
        detail = f"the token of {name} ended at {invitation.expires_at:%Y-%m-%d %H:%M} UTC"
        raise RefusedError("token-expired", detail, subject=name)
    if serial != invitation.serial:
        detail = f"the token of {name} is for serial {invitation.serial!r}, not {serial!r}"
        raise RefusedError("token-other-serial", detail, subject=name)
    return invitation


def _unknown() -> RefusedError:
    return RefusedError("token-unknown", "the token is unknown", status=401)


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
