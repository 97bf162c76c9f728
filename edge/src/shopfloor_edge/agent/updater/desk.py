"""``job.json``: the action that is worked on, and what is still to be said of it.

Written before anything is sent, so that a report is neither lost nor made twice.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from shopfloor_edge.agent.updater.plan import Plan
from shopfloor_edge.slots.domain import Release
from shopfloor_edge.slots.durable import write_durably

log = logging.getLogger(__name__)

CLOSED_MAX = 20
LETTERS_MAX = 500
"""Of which evidence and endings are never dropped for progress."""


class Stage(StrEnum):
    """How far the action is, as far as the slots do not tell."""

    ASKED = "asked"
    FETCHED = "fetched"
    """Verified, unpacked and self-tested in the store."""
    TRYING = "trying"


class Box(StrEnum):
    """Where a letter goes."""

    FEEDBACK = "feedback"
    CANCEL = "cancel"
    EVIDENCE = "evidence"


@dataclass(frozen=True, slots=True)
class Letter:
    """Something to be said, in order."""

    box: Box
    action: str
    body: str
    """JSON."""
    passing: bool = False
    """Progress: worth nothing once something newer is to be said."""


@dataclass(frozen=True, slots=True)
class Job:
    """The action under way."""

    plan: Plan
    stage: Stage = Stage.ASKED
    release: Release | None = None
    notes: tuple[str, ...] = ()
    seq: int = 0
    """Of the evidence report made last."""
    taken: int = 0
    """Row of vision's figures that was reported last."""
    crashes: int = 0
    """Reported already."""
    base: str = ""
    """Digest of what it replaces; empty for what was provisioned."""
    began_at: datetime | None = None
    """When the trying began."""
    trial_from: datetime | None = None
    """Where the first stretch of the trial began."""
    alerts_right: int = 0
    """Reported already."""
    alerts_wrong: int = 0
    """Reported already."""
    audited: tuple[int, int, int] = (0, 0, 0)
    """Agreed, missed and false items of audits that are reported already."""


@dataclass(frozen=True, slots=True)
class Closed:
    """An action that is over; its ending is said again when asked."""

    action: str
    success: bool
    details: tuple[str, ...]
    rejected: bool = False
    """Trying again would give the same."""


@dataclass(frozen=True, slots=True)
class Papers:
    """Everything on the desk."""

    job: Job | None = None
    letters: tuple[Letter, ...] = ()
    closed: tuple[Closed, ...] = field(default=())

    def ending(self, action: str) -> Closed | None:
        """Return how an action ended, None where it has not."""
        return next((one for one in self.closed if one.action == action), None)


_PAPERS = TypeAdapter(Papers)


class Desk:
    """Papers in memory and on disk; the disk is first."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.papers = self._read()

    def put(self, papers: Papers) -> None:
        """Replace the papers.

        Raises:
            OSError: the disk refuses; the papers before still hold.
        """
        if papers != self.papers:
            write_durably(self._path, _PAPERS.dump_json(papers))
            self.papers = papers

    def say(self, letter: Letter, *, job: Job | None = None) -> None:
        """Add a letter, and with it change the job.

        Raises:
            OSError: the disk refuses.
        """
        papers = self.papers
        kept = tuple(one for one in papers.letters if not one.passing)
        letters = (*kept, letter)[-LETTERS_MAX:]
        self.put(replace(papers, letters=letters, job=job or papers.job))

    def close(self, closed: Closed, letters: tuple[Letter, ...]) -> None:
        """End the job with its last letters.

        Raises:
            OSError: the disk refuses.
        """
        papers = self.papers
        others = tuple(one for one in papers.closed if one.action != closed.action)
        kept = tuple(one for one in papers.letters if not one.passing)
        self.put(Papers(None, (*kept, *letters), (*others, closed)[-CLOSED_MAX:]))

    def sent(self) -> None:
        """Take the oldest letter away.

        Raises:
            OSError: the disk refuses.
        """
        self.put(replace(self.papers, letters=self.papers.letters[1:]))

    def _read(self) -> Papers:
        try:
            return _PAPERS.validate_json(self._path.read_bytes())
        except ValidationError as e:
            log.warning("job is not understood, the campaigns will ask again", extra={"at": str(e)})
        except FileNotFoundError:
            pass
        return Papers()
