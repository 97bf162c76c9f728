"""``slots.json``: the state of the slots on disk, between agent and vision."""

from __future__ import annotations

import fcntl
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from shopfloor_edge.errors import JournalError
from shopfloor_edge.slots.domain import Slots
from shopfloor_edge.slots.durable import write_durably

log = logging.getLogger(__name__)

FOLDER = "updates"
"""In the state folder."""
_SLOTS = TypeAdapter(Slots)


class SlotsFile:
    """Reads without a lock, since a rename is atomic; changes one process at a time."""

    def __init__(self, state: Path) -> None:
        self.folder = state / FOLDER
        self._path = self.folder / "slots.json"

    def read(self) -> Slots:
        """Return what is on disk; where nothing is, or nothing that is understood, the default.

        Raises:
            JournalError: the disk cannot be read now.
        """
        try:
            return _SLOTS.validate_json(self._path.read_bytes())
        except FileNotFoundError:
            return Slots()
        except ValidationError as e:
            # Renames are atomic, so this is a worn disk or a person's edit. What was provisioned
            # is the one thing that is known to work.
            log.error("slots are not understood", extra={"reason": str(e.errors()[0]["msg"])})  # noqa: TRY400 — the trace says no more
            return Slots()
        except OSError as e:
            raise JournalError(f"{self._path}: {e.strerror or e}") from e

    def change(self, step: Callable[[Slots], Slots]) -> Slots:
        """Apply a step of the domain and return the result, which is on disk.

        Raises:
            SlotsError: the step does not follow; nothing is changed.
            JournalError: the disk cannot be written now.
        """
        try:
            with self._locked():
                before = self.read()
                after = step(before)
                if after != before:
                    write_durably(self._path, _SLOTS.dump_json(after, indent=1))
        except OSError as e:
            raise JournalError(f"{self._path}: {e.strerror or e}") from e
        return after

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with (self.folder / "slots.lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield
