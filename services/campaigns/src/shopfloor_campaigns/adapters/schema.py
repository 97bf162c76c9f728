"""The schema of this version."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from shopfloor_campaigns.errors import StoreUnavailableError
from shopfloor_kit.database import cause
from shopfloor_kit.migrations import migrate

_LOCK = 7_310_011


def prepare(engine: Engine) -> None:
    """Bring the schema up to date: all steps or none.

    Raises:
        StoreUnavailableError: the database does not answer, or is another one's.
    """
    try:
        with engine.begin() as connection:
            migrate(connection, Path(__file__).parent / "migrations", _LOCK)
    except SQLAlchemyError as e:
        raise StoreUnavailableError(cause(e)) from e
