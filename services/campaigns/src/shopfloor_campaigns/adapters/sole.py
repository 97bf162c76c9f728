"""One process writes to a database: what is remembered in memory is right only then."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Engine, text
from sqlalchemy.exc import SQLAlchemyError

from shopfloor_campaigns.errors import DatabaseTakenError, StoreUnavailableError
from shopfloor_kit.database import cause

_LOCK = 7_310_012
"""Number of the advisory lock in PostgreSQL; it is one per database."""


@contextmanager
def sole_writer(engine: Engine) -> Iterator[None]:
    """Hold the database; the system lets go of it when the process dies.

    Raises:
        DatabaseTakenError: another process holds it.
        StoreUnavailableError: the database does not answer.
    """
    holding = _with_advisory_lock if engine.dialect.name == "postgresql" else _with_file
    with holding(engine):
        yield


@contextmanager
def _with_file(engine: Engine) -> Iterator[None]:
    # Beside the database and not in it: a lock within would keep readers and backups out.
    path = Path(f"{engine.url.database}.lock")
    try:
        file = path.open("a")
    except OSError as e:
        raise StoreUnavailableError(f"{path}: {e.strerror}") from e
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DatabaseTakenError(str(engine.url.database)) from None
        yield


@contextmanager
def _with_advisory_lock(engine: Engine) -> Iterator[None]:
    try:
        connection = engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        taken = connection.execute(text(f"SELECT pg_try_advisory_lock({_LOCK})")).scalar_one()
    except SQLAlchemyError as e:
        raise StoreUnavailableError(cause(e)) from e
    try:
        if not taken:
            raise DatabaseTakenError(engine.url.render_as_string(hide_password=True))
        yield
    finally:
        # A pooled connection would keep the lock.
        connection.invalidate()
        connection.close()
