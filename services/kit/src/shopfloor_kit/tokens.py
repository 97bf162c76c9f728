"""Bearer tokens of people and services (RFC 6750): made, stored as digests, asked for per route.

A token is ``sf_<id>_<secret>``. The secret has 256 bits from the system's generator, so one
SHA-256 of it is enough at rest: there is nothing to guess.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from fastapi import Request
from sqlalchemy import Column, Connection, Engine, MetaData, String, Table, insert, select, update

from shopfloor_kit.database import reading
from shopfloor_kit.errors import ProblemError

_TOKEN = re.compile(r"sf_([0-9a-f]{12})_([A-Za-z0-9_-]{43})")
_NO_DIGEST = "0" * 64
_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="shopfloor"'}


class Role(StrEnum):
    """What a caller may do; each may do what those before it may."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    APPROVER = "approver"

    def allows(self, needed: Role) -> bool:
        """Say whether this role is at least ``needed``."""
        order = list(Role)
        return order.index(self) >= order.index(needed)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sent a request."""

    name: str
    role: Role


@dataclass(frozen=True, slots=True)
class TokenRecord:
    """What is known of a token; not the token."""

    id: str
    name: str
    role: Role
    made_at: str
    revoked_at: str | None


def token_table(metadata: MetaData, name: str = "tokens") -> Table:
    """Declare the table; a migration makes it."""
    return Table(name, metadata, *token_columns())


def token_columns() -> list[Column[Any]]:
    """Return the columns, for ``token_table`` and for a migration alike."""
    return [
        Column("id", String(12), primary_key=True),
        Column("name", String(200), nullable=False),
        Column("role", String(20), nullable=False),
        Column("digest", String(64), nullable=False),
        Column("made_at", String(40), nullable=False),
        Column("revoked_at", String(40)),
    ]


def issue(connection: Connection, table: Table, caller: Caller, *, at: datetime) -> str:
    """Store a new token's digest; return the token, which cannot be read again."""
    identity, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
    row = {
        "id": identity,
        "name": caller.name,
        "role": str(caller.role),
        "digest": _digest(secret),
        "made_at": at.astimezone(UTC).isoformat(),
    }
    connection.execute(insert(table).values(row))
    return f"sf_{identity}_{secret}"


def revoke(connection: Connection, table: Table, identity: str, *, at: datetime) -> bool:
    """End the token of that id; return False when there is none that still holds."""
    ending = update(table).where(table.c.id == identity, table.c.revoked_at.is_(None))
    return bool(
        connection.execute(ending.values(revoked_at=at.astimezone(UTC).isoformat())).rowcount
    )


def list_tokens(connection: Connection, table: Table) -> list[TokenRecord]:
    """Return every token ever made, the oldest first."""
    rows = connection.execute(select(table).order_by(table.c.made_at, table.c.id))
    return [TokenRecord(r.id, r.name, Role(r.role), r.made_at, r.revoked_at) for r in rows]


def find_caller(connection: Connection, table: Table, token: str) -> Caller | None:
    """Return whose ``token`` it is, or None for one that is unknown, wrong or revoked."""
    parsed = _TOKEN.fullmatch(token)
    if parsed is None:
        return None
    row = connection.execute(select(table).where(table.c.id == parsed[1])).first()
    # An unknown id costs the same comparison as a wrong secret.
    expected = _NO_DIGEST if row is None else row.digest
    right = hmac.compare_digest(_digest(parsed[2]), expected)
    if row is None or not right or row.revoked_at is not None:
        return None
    return Caller(row.name, Role(row.role))


class Gatekeeper:
    """Makes FastAPI dependencies: ``Depends(gatekeeper.needs(Role.OPERATOR))``."""

    def __init__(self, find: Callable[[str], Caller | None]) -> None:
        self._find = find

    @classmethod
    def over(cls, engine: Engine, table: Table) -> Gatekeeper:
        """Return one that looks tokens up in ``table``."""

        def find(token: str) -> Caller | None:
            with reading(engine).connect() as connection:
                return find_caller(connection, table, token)

        return cls(find)

    def needs(self, role: Role) -> Callable[[Request], Caller]:
        """Return a dependency that gives the caller, or answers 401 or 403."""

        def check(request: Request) -> Caller:
            caller = self._caller_of(request)
            self.demand(caller, role)
            return caller

        return check

    @staticmethod
    def demand(caller: Caller, role: Role) -> None:
        """Answer 403 when ``caller`` is below ``role``: where the body decides what is needed."""
        if not caller.role.allows(role):
            raise ProblemError(
                403, "forbidden", f"{caller.name!r} is {caller.role}, this needs {role}"
            )

    def _caller_of(self, request: Request) -> Caller:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise ProblemError(
                401, "no-token", "expected Authorization: Bearer …", headers=_CHALLENGE
            )
        caller = self._find(token.strip())
        if caller is None:
            raise ProblemError(
                401, "wrong-token", "the token is unknown or revoked", headers=_CHALLENGE
            )
        return caller


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
