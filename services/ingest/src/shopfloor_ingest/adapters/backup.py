"""A backup is one file: the database's own dump, then a seal that says what it is.

The seal is the last 4,096 bytes, a line of JSON filled up with spaces. It comes last because the
dump's digest is known last; a file that was cut off has none. What makes and reads the dump
is in ``sqlite_dump`` and ``postgresql_dump``.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from sqlalchemy import Engine, inspect, select, table, text
from sqlalchemy.exc import SQLAlchemyError

from shopfloor_ingest.adapters.postgresql_dump import PostgresqlDump
from shopfloor_ingest.adapters.schema import MARK, OURS, Dumped, known_revisions
from shopfloor_ingest.adapters.sqlite_dump import SqliteDump
from shopfloor_ingest.errors import BackupError, StoreUnavailableError
from shopfloor_kit.database import cause

SEAL_BYTES = 4096
_PIECE = 1 << 20


class Dump(Protocol):
    """One kind of database. Each raises ``BackupError``, ``OSError`` or ``SQLAlchemyError``."""

    def dump(self, to: Path) -> Dumped:
        """Write one instant of the database into the empty file ``to``."""

    def load(self, source: Path, size_bytes: int) -> None:
        """Replace what is there by the first ``size_bytes`` of ``source``: all or nothing."""


class Seal(BaseModel):
    """What a backup says about itself. ``sha256`` is over the dump and the other fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["shopfloor-ingest-backup"] = "shopfloor-ingest-backup"
    version: Literal[1] = 1
    backend: Literal["sqlite", "postgresql"]
    schema_version: str = Field(pattern=r"^[0-9]{4}$")
    events: int = Field(ge=0)
    made_at: datetime
    dump_bytes: int = Field(ge=0)
    sha256: str = Field("", pattern=r"^([0-9a-f]{64})?$")


def back_up(engine: Engine, to: Path, *, now: datetime) -> Seal:
    """Write a backup of one instant; whoever writes meanwhile is not held up.

    ``to`` appears whole and flushed to the disk, or stays what it was.

    Raises:
        BackupError: no event store, no program for the dump, no space.
        StoreUnavailableError: the database does not answer.
    """
    partial = to.with_name(f".{to.name}.partial")
    with _told(to), _database():
        partial.unlink(missing_ok=True)
        # Figures of a shop are nobody else's to read.
        partial.touch(mode=0o600)
        try:
            dumped = _dump_of(engine).dump(partial)
            seal = Seal(
                backend=dumped.backend,
                schema_version=dumped.schema_version,
                events=dumped.events,
                made_at=now,
                dump_bytes=partial.stat().st_size,
            )
            seal = seal.model_copy(update={"sha256": _digest(partial, seal)})
            with partial.open("ab") as file:
                file.write(_sealed(seal))
                file.flush()
                os.fsync(file.fileno())
            partial.replace(to)
            _flush_folder(to.parent)
        finally:
            partial.unlink(missing_ok=True)
    return seal


def restore(engine: Engine, source: Path, *, force: bool) -> Seal:
    """Put a backup in the place of what the database holds: all of it or nothing.

    The schema stays that of the backup; ``SqlStore.prepare`` brings it up to date.

    Raises:
        BackupError: the file is damaged or of another kind, or the database holds events and
            ``force`` is not given.
        StoreUnavailableError: the database does not answer.
    """
    seal = verify(source)
    backend = engine.dialect.name
    if seal.backend != backend:
        raise BackupError(f"{source}: is of {seal.backend}, the database is {backend}")
    if seal.schema_version not in known_revisions():
        newest = known_revisions()[-1]
        raise BackupError(
            f"{source}: schema is {seal.schema_version}, this version knows up to {newest}: "
            "install a newer shopfloor-ingest"
        )
    with _told(source), _database():
        if not force and _holds_events(engine):
            raise BackupError("the database is not empty, --force replaces what it holds")
        _dump_of(engine).load(source, seal.dump_bytes)
    return seal


def verify(source: Path) -> Seal:
    """Read the whole file and return its seal.

    Raises:
        BackupError: it cannot be read, has no seal, or is not what the seal promises.
    """
    with _told(source):
        size = source.stat().st_size
        with source.open("rb") as file:
            file.seek(max(0, size - SEAL_BYTES))
            last = file.read(SEAL_BYTES)
        try:
            seal = Seal.model_validate_json(last)
        except ValidationError as e:
            raise BackupError(f"{source}: no seal at its end: cut off, or no backup") from e
        if seal.dump_bytes != size - SEAL_BYTES:
            expected = seal.dump_bytes + SEAL_BYTES
            raise BackupError(f"{source}: has {size} bytes, its seal says {expected}")
        actual = _digest(source, seal)
        if actual != seal.sha256 or last != _sealed(seal):
            raise BackupError(f"{source}: sha256 is {actual}, its seal says {seal.sha256}")
    return seal


def _dump_of(engine: Engine) -> Dump:
    return PostgresqlDump(engine) if engine.dialect.name == "postgresql" else SqliteDump(engine)


def _holds_events(engine: Engine) -> bool:
    """Say whether any table of ours has a row, whatever the schema's version."""
    if engine.dialect.name == "sqlite" and not Path(engine.url.database or "").exists():
        return False
    with engine.connect() as connection:
        names = (set(inspect(connection).get_table_names()) & OURS) - {MARK}
        any_row = text("1")
        found = (
            connection.execute(select(any_row).select_from(table(name)).limit(1)) for name in names
        )
        return any(row.first() is not None for row in found)


def _sealed(seal: Seal) -> bytes:
    return seal.model_dump_json().encode().ljust(SEAL_BYTES - 1) + b"\n"


def _digest(path: Path, seal: Seal) -> str:
    """Return the SHA-256 of the dump at the head of ``path``, then of the seal's other fields."""
    found, left = hashlib.sha256(), seal.dump_bytes
    with path.open("rb") as file:
        while left and (piece := file.read(min(_PIECE, left))):
            found.update(piece)
            left -= len(piece)
    found.update(seal.model_dump_json(exclude={"sha256"}).encode())
    return found.hexdigest()


def _flush_folder(folder: Path) -> None:
    # Without it the new name may be gone after a power loss.
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as e:
        raise BackupError(f"{path}: {e.strerror or e}") from e


@contextmanager
def _database() -> Iterator[None]:
    try:
        yield
    except SQLAlchemyError as e:
        raise StoreUnavailableError(cause(e)) from e
