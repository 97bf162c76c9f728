"""Who may sign in: ``staff.json`` in the state folder, with hashed PINs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from shopfloor_edge.errors import OperatorError
from shopfloor_edge.slots.durable import write_durably

FILE_NAME = "staff.json"
MAX_PEOPLE = 500
MAX_FILE_BYTES = 1_000_000


class Role(StrEnum):
    """What a person may do; each role may do what those before it may."""

    STAFF = "staff"
    MANAGER = "manager"
    INSTALLER = "installer"

    def allows(self, needed: Role) -> bool:
        """Say whether this role is enough where ``needed`` is asked for."""
        order = list(Role)
        return order.index(self) >= order.index(needed)


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who is signed in."""

    name: str
    role: Role
    language: str

    def may(self, role: str) -> bool:
        """Say whether the person's role allows what ``role`` is needed for."""
        return self.role.allows(Role(role))


class Entry(BaseModel):
    """One person of the file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(min_length=1, max_length=60)]
    role: Role
    language: Literal["en", "de"] | None = None
    pin: Annotated[str, Field(min_length=20, max_length=300)]
    """As ``pins.hash_pin`` wrote it."""

    @field_validator("name")
    @classmethod
    def _is_a_line(cls, name: str) -> str:
        if not name.isprintable() or name != name.strip():
            raise ValueError(f"name is {name!r}, expected one printable line")
        return name


class StaffFile(BaseModel):
    """The whole file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[1] = 1
    people: Annotated[tuple[Entry, ...], Field(max_length=MAX_PEOPLE)] = ()

    @field_validator("people")
    @classmethod
    def _names_differ(cls, people: tuple[Entry, ...]) -> tuple[Entry, ...]:
        names = [entry.name.casefold() for entry in people]
        twins = sorted({name for name in names if names.count(name) > 1})
        if twins:
            raise ValueError(f"two people are named {twins[0]!r}")
        return people


class Staff:
    """Reads the file again when it has changed; shared among threads."""

    def __init__(self, state: Path) -> None:
        self.path = state / FILE_NAME
        self._lock = threading.Lock()
        self._stamp: tuple[int, int, int] | None = None
        self._entries: dict[str, Entry] = {}

    def entries(self) -> list[Entry]:
        """Return everybody, by name.

        Raises:
            OperatorError: the file is not understood; then nobody may sign in.
        """
        return sorted(self._read().values(), key=lambda entry: entry.name.casefold())

    def find(self, name: str) -> Entry | None:
        """Return a person by name, whatever the case of its letters."""
        return self._read().get(name.casefold())

    def change(self, step: Callable[[list[Entry]], Iterable[Entry]]) -> None:
        """Replace the people by what ``step`` makes of them, durably.

        Raises:
            OperatorError: what is there or what it becomes is not valid, or the disk refuses.
        """
        with self._lock:
            try:
                file = StaffFile(people=tuple(step(list(_load(self.path).people))))
                self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                write_durably(self.path, file.model_dump_json(indent=1).encode() + b"\n")
                self.path.chmod(0o600)
            except ValidationError as e:
                raise OperatorError(f"{self.path}: {e.errors()[0]['msg']}") from e
            except OSError as e:
                raise OperatorError(f"{self.path}: {e.strerror or e}") from e

    def _read(self) -> dict[str, Entry]:
        with self._lock:
            stamp = _stamp(self.path)
            if stamp != self._stamp:
                self._entries = {e.name.casefold(): e for e in _load(self.path).people}
                self._stamp = stamp
            return self._entries


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _load(path: Path) -> StaffFile:
    try:
        content = path.read_bytes()
        if len(content) > MAX_FILE_BYTES:
            raise OperatorError(f"{path}: larger than {MAX_FILE_BYTES} bytes")
        return StaffFile.model_validate_json(content)
    except FileNotFoundError:
        return StaffFile()
    except ValidationError as e:
        raise OperatorError(f"{path}: {e.errors()[0]['msg']}") from e
    except OSError as e:
        raise OperatorError(f"{path}: {e.strerror or e}") from e
