"""SQLite into a file and back, by its online backup: whoever writes meanwhile goes on."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import Engine

from shopfloor_ingest.adapters.schema import MARK, Dumped
from shopfloor_ingest.errors import BackupError


class SqliteDump:
    """Implements the ``Dump`` port."""

    def __init__(self, engine: Engine) -> None:
        self._path = Path(engine.url.database or "")

    def dump(self, to: Path) -> Dumped:
        """Write one instant of the database into the empty file ``to``."""
        with _told(self._path), closing(_open(self._path)) as ours, closing(_open(to)) as copy:
            # In one go: in steps it would begin again whenever somebody has written in between.
            ours.backup(copy)
            # One file, without a journal beside it.
            copy.execute("PRAGMA journal_mode = DELETE")
            return _checked(copy, self._path)

    def load(self, source: Path, size_bytes: int) -> None:
        """Replace what is there in one transaction: a process that reads sees before or after."""
        with _told(source), closing(_open(source, "mode=ro&immutable=1")) as copy:
            _checked(copy, source)
            page, pages = (
                copy.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_size", "page_count")
            )
            if page * pages != size_bytes:
                raise BackupError(f"{source}: {pages} pages of {page}, expected {size_bytes} bytes")
            with _told(self._path), closing(sqlite3.connect(self._path)) as ours:
                ours.execute("PRAGMA synchronous = FULL")
                copy.backup(ours)


def _open(path: Path, flags: str = "mode=rw") -> sqlite3.Connection:
    # By URI: the plain call would make an empty database where there is none.
    return sqlite3.connect(f"file:{quote(str(path))}?{flags}", uri=True)


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as e:
        raise BackupError(f"{path}: {e}") from e


def _checked(connection: sqlite3.Connection, path: Path) -> Dumped:
    (said,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if said != "ok":
        raise BackupError(f"{path}: damaged: {said}")
    try:
        (version,) = connection.execute(f"SELECT version_num FROM {MARK}").fetchone()  # noqa: S608
        (events,) = connection.execute("SELECT count(*) FROM events").fetchone()
    except (sqlite3.OperationalError, TypeError) as e:
        raise BackupError(f"{path}: holds no event store") from e
    return Dumped("sqlite", version, events)
