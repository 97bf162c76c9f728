"""Who is signed in: random cookies, of which only digests are kept."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from shopfloor_edge.console.people import Entry, Staff
from shopfloor_edge.console.store import Store

ABSOLUTE = timedelta(hours=14)
"""A working day with its edges; then the PIN is asked for again."""
IDLE_TABLET, IDLE_ELSEWHERE = timedelta(hours=4), timedelta(minutes=30)
"""Without a page asked for or a button pressed. A page that only shows alerts is no use of it."""
TOUCH = timedelta(minutes=1)
ENROLMENT = timedelta(minutes=15)
MAX_TABLETS, MAX_SESSIONS_EACH = 200, 10


@dataclass(frozen=True, slots=True)
class Session:
    """One browser of one person."""

    digest: str
    entry: Entry
    csrf: str
    tablet: str
    """Digest of the tablet's cookie; empty where the browser is no enrolled tablet."""


@dataclass(frozen=True, slots=True)
class Tablet:
    """A browser that an enrolment link was opened in. Instants are seconds since the epoch."""

    digest: str
    name: str
    enrolled_at: float
    seen_at: float


def digest_of(cookie: str) -> str:
    """Return what is kept of a cookie or a link."""
    return hashlib.sha256(cookie.encode()).hexdigest()


def form_token(cookie: str) -> str:
    """Return what the form of somebody who is not signed in carries, bound to a cookie."""
    return hmac.new(cookie.encode(), b"shopfloor console form", hashlib.sha256).hexdigest()


class Sessions:
    """Opens, finds and ends sessions; a person who is removed from the staff has none."""

    def __init__(self, store: Store, staff: Staff, clock: Callable[[], datetime]) -> None:
        self._store, self._staff, self._clock = store, staff, clock

    def open(self, entry: Entry, tablet: str = "") -> str:
        """Return a new cookie; what the browser had before counts for nothing."""
        cookie, now_s = secrets.token_urlsafe(32), self._now_s()
        row = (digest_of(cookie), entry.name, secrets.token_urlsafe(24), tablet, now_s, now_s)
        with self._store.writing() as connection:
            connection.execute(
                "DELETE FROM console_sessions WHERE began_at < ?",
                (now_s - ABSOLUTE.total_seconds(),),
            )
            connection.execute(
                "DELETE FROM console_sessions WHERE digest IN (SELECT digest FROM console_sessions"
                " WHERE person = ? ORDER BY seen_at DESC LIMIT -1 OFFSET ?)",
                (entry.name, MAX_SESSIONS_EACH - 1),
            )
            connection.execute("INSERT INTO console_sessions VALUES (?, ?, ?, ?, ?, ?)", row)
        return cookie

    def find(self, cookie: str, *, used: bool) -> Session | None:
        """Return the session of a cookie, or None when it is over.

        Args:
            used: whether a person did something, which puts the idle limit off.
        """
        digest, now_s = digest_of(cookie), self._now_s()
        with self._store.reading() as connection:
            row = connection.execute(
                "SELECT person, csrf, tablet, began_at, seen_at FROM console_sessions"
                " WHERE digest = ?",
                (digest,),
            ).fetchone()
        if row is None:
            return None
        person, csrf, tablet, began_s, seen_s = row
        idle = IDLE_TABLET if tablet else IDLE_ELSEWHERE
        entry = self._staff.find(person)
        over = now_s - began_s > ABSOLUTE.total_seconds() or now_s - seen_s > idle.total_seconds()
        # A clock that was set back makes no session last longer than it says.
        if over or entry is None or now_s < began_s - TOUCH.total_seconds():
            self.close(digest)
            return None
        if used and now_s - seen_s > TOUCH.total_seconds():
            with self._store.writing() as connection:
                connection.execute(
                    "UPDATE console_sessions SET seen_at = ? WHERE digest = ?", (now_s, digest)
                )
        return Session(digest, entry, csrf, tablet)

    def close(self, digest: str) -> None:
        """End a session."""
        with self._store.writing() as connection:
            connection.execute("DELETE FROM console_sessions WHERE digest = ?", (digest,))

    def _now_s(self) -> float:
        return self._clock().timestamp()


class Tablets:
    """Enrolment links and the tablets that came of them."""

    def __init__(self, store: Store, clock: Callable[[], datetime]) -> None:
        self._store, self._clock = store, clock

    def invite(self, name: str) -> str:
        """Return the secret part of a link that enrols one tablet, once, within minutes."""
        secret, now_s = secrets.token_urlsafe(24), self._clock().timestamp()
        with self._store.writing() as connection:
            connection.execute("DELETE FROM console_enrolments WHERE expires_at < ?", (now_s,))
            connection.execute(
                "INSERT INTO console_enrolments VALUES (?, ?, ?)",
                (digest_of(secret), name, now_s + ENROLMENT.total_seconds()),
            )
        return secret

    def enrol(self, secret: str) -> tuple[str, str] | None:
        """Use a link up; return the tablet's cookie and name, or None when the link is no good."""
        now_s, cookie = self._clock().timestamp(), secrets.token_urlsafe(32)
        with self._store.writing() as connection:
            row = connection.execute(
                "DELETE FROM console_enrolments WHERE digest = ? RETURNING name, expires_at",
                (digest_of(secret),),
            ).fetchone()
            if row is None or row[1] < now_s:
                return None
            connection.execute(
                "DELETE FROM console_tablets WHERE digest IN (SELECT digest FROM console_tablets"
                " ORDER BY seen_at DESC LIMIT -1 OFFSET ?)",
                (MAX_TABLETS - 1,),
            )
            connection.execute(
                "INSERT INTO console_tablets VALUES (?, ?, ?, ?)",
                (digest_of(cookie), row[0], now_s, now_s),
            )
        return cookie, row[0]

    def find(self, cookie: str) -> Tablet | None:
        """Return the tablet of a cookie, or None."""
        with self._store.reading() as connection:
            row = connection.execute(
                "SELECT * FROM console_tablets WHERE digest = ?", (digest_of(cookie),)
            ).fetchone()
        return None if row is None else Tablet(*row)

    def listed(self) -> list[Tablet]:
        """Return every tablet, the one that was used last first."""
        with self._store.reading() as connection:
            rows = connection.execute("SELECT * FROM console_tablets ORDER BY seen_at DESC")
            return [Tablet(*row) for row in rows.fetchall()]

    def seen(self, digest: str) -> None:
        """Note that somebody signed in on a tablet."""
        with self._store.writing() as connection:
            connection.execute(
                "UPDATE console_tablets SET seen_at = ? WHERE digest = ?",
                (self._clock().timestamp(), digest),
            )

    def remove(self, digest: str) -> None:
        """Forget a tablet and end its sessions."""
        with self._store.writing() as connection:
            connection.execute("DELETE FROM console_tablets WHERE digest = ?", (digest,))
            connection.execute("DELETE FROM console_sessions WHERE tablet = ?", (digest,))
