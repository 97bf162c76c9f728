"""Who is signed in: a random cookie, kept as its digest, that stands for an operator's token."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, Engine, delete, insert, select

from shopfloor_campaigns.adapters.tables import SESSIONS, TOKENS
from shopfloor_kit.database import reading
from shopfloor_kit.instants import to_ms
from shopfloor_kit.tokens import Caller, Role, find_caller

LASTS = timedelta(hours=12)
"""A working day; then the token is asked for again."""
ATTEMPTS, ATTEMPTS_IN = 10, timedelta(minutes=5)
ADDRESSES = 10_000


@dataclass(frozen=True, slots=True)
class Signed:
    """A person who is signed in, and what their forms must carry."""

    caller: Caller
    csrf: str

    def may(self, role: str) -> bool:
        """Say whether a page offers what ``role`` is needed for."""
        return self.caller.role.allows(Role(role))


def form_token(cookie: str) -> str:
    """Return what forms carry: made from a cookie that no other site can read."""
    return hmac.new(cookie.encode(), b"shopfloor form", hashlib.sha256).hexdigest()


def open_session(connection: Connection, token: str, now: datetime) -> str | None:
    """Return a new cookie for a token that holds, or None; forgets sessions that are over."""
    if find_caller(connection, TOKENS, token) is None:
        return None
    connection.execute(delete(SESSIONS).where(SESSIONS.c.expires_at <= to_ms(now)))
    cookie = secrets.token_urlsafe(32)
    row = {"digest": _digest(cookie), "token": token.split("_")[1]}
    connection.execute(insert(SESSIONS).values(row | {"expires_at": to_ms(now + LASTS)}))
    return cookie


def close_session(connection: Connection, cookie: str) -> None:
    """End a session; the cookie is worth nothing afterwards."""
    connection.execute(delete(SESSIONS).where(SESSIONS.c.digest == _digest(cookie)))


class Sessions:
    """Finds the person behind a cookie. A revoked token ends its sessions too."""

    def __init__(self, engine: Engine, now: Callable[[], datetime]) -> None:
        self._engine, self.now = reading(engine), now

    def find(self, cookie: str) -> Signed | None:
        """Return who it is, or None for a cookie that is unknown or over."""
        held = (
            select(TOKENS.c.name, TOKENS.c.role)
            .join(SESSIONS, SESSIONS.c.token == TOKENS.c.id)
            .where(
                SESSIONS.c.digest == _digest(cookie),
                SESSIONS.c.expires_at > to_ms(self.now()),
                TOKENS.c.revoked_at.is_(None),
            )
        )
        with self._engine.connect() as connection:
            row = connection.execute(held).first()
        if row is None:
            return None
        return Signed(Caller(row.name, Role(row.role)), form_token(cookie))

    def holds(self, token: str) -> bool:
        """Say whether a token is good, without writing anything."""
        with self._engine.connect() as connection:
            return find_caller(connection, TOKENS, token) is not None


class Attempts:
    """Counts sign-ins that did not work, by address; the oldest address is forgotten first."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now, self._lock = now, threading.Lock()
        self._missed: OrderedDict[str, list[datetime]] = OrderedDict()

    def too_many(self, address: str) -> bool:
        """Say whether an address has to wait."""
        with self._lock:
            return len(self._recent(address)) >= ATTEMPTS

    def miss(self, address: str) -> None:
        """Note one that did not work."""
        with self._lock:
            self._missed[address] = [*self._recent(address), self._now()]
            self._missed.move_to_end(address)
            while len(self._missed) > ADDRESSES:
                self._missed.popitem(last=False)

    def _recent(self, address: str) -> list[datetime]:
        since = self._now() - ATTEMPTS_IN
        return [at for at in self._missed.get(address, ()) if at > since]


def _digest(cookie: str) -> str:
    return hashlib.sha256(cookie.encode()).hexdigest()
