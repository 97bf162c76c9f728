"""A site file that a person made here: staged, tried by vision, and good when it has run."""

from __future__ import annotations

import hashlib
from pathlib import Path

from shopfloor_contracts.targets import UpdateKind
from shopfloor_edge.errors import JournalError
from shopfloor_edge.slots.domain import Attempt, Release, Slots, Step, advance, commit, stage
from shopfloor_edge.slots.durable import write_durably
from shopfloor_edge.slots.file import SlotsFile
from shopfloor_edge.slots.store import Store

TRIAL_S = 5.0
"""Vision runs it that long before it is good; a drawing that it cannot run never becomes good."""
PATH = "console/site.toml"
"""In the place of a TUF path: nobody signed it, a person of this site drew it."""


def try_site(state: Path, text: str, *, version: str) -> Release:
    """Put a site file into the other slot and on trial; vision takes it up within a second.

    Raises:
        SlotsError: another update is being tried, or this one failed here before.
        JournalError: the disk refuses.
    """
    content = text.encode()
    digest = hashlib.sha256(content).hexdigest()
    file = SlotsFile(state)
    store = Store(file.folder)
    release = Release(UpdateKind.CONFIG, digest, len(content), PATH, "drawing", version)
    attempt = Attempt(release, action="", shadow_s=0.0, trial_s=TRIAL_S)
    # Refused before anything is written, and again under the lock.
    stage(file.read(), attempt)
    try:
        store.prepare()
        write_durably(store.site_file(digest), content)
    except OSError as e:
        raise JournalError(f"{store.site_file(digest)}: {e.strerror or e}") from e
    file.change(lambda slots: advance(stage(slots, attempt), Step.TRIAL))
    return release


def settle(state: Path, *, endured_s: float, frames: int) -> Slots:
    """Make a person's drawing good when vision has run it long enough.

    The agent does the same for every update; this one is for a device that takes none.

    Raises:
        JournalError: the disk refuses.
    """

    def step(slots: Slots) -> Slots:
        attempt = slots.attempt
        mine = attempt is not None and attempt.release.path == PATH and attempt.step is Step.TRIAL
        if attempt is None or not mine or endured_s < attempt.trial_s or not frames:
            return slots
        return commit(slots)

    return SlotsFile(state).change(step)
