"""Which venv the processes of this device run, and which one is on trial.

Below a home such as ``/opt/shopfloor``::

    launch              slots/launch.sh, put there when the device was provisioned
    app/DIGEST/         a venv for each set of wheels; whole once ``app/DIGEST.whole`` is there
    current             link to the good one
    provisioned         link to the one that was there before the first update
    trial/app           link to the one on trial; ``trial/starts.*`` has a line for each start
    failed/             what ``trial`` is renamed to when the launcher gives it up

The slots decide, the links follow: ``follow`` may be interrupted anywhere and is repeated.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
import sys
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

from shopfloor_contracts.targets import UpdateKind
from shopfloor_edge.slots.domain import Attempt, Slots, Step, fail
from shopfloor_edge.slots.durable import sync_folder, write_durably
from shopfloor_edge.slots.file import SlotsFile

log = logging.getLogger(__name__)

STARTED_BY = "SHOPFLOOR_LAUNCHER"
"""Set by the launcher."""
LAUNCHER = Path(__file__).with_name("launch.sh")
_DIGEST = re.compile(r"[0-9a-f]{64}")


def running_application() -> str:
    """Return the digest of the set of wheels that this process runs; empty for any other venv."""
    venv = Path(sys.prefix).resolve()
    return venv.name if venv.parent.name == "app" and _DIGEST.fullmatch(venv.name) else ""


def find_home() -> Home | None:
    """Return the home that this process was started from, None where no launcher started it.

    A venv that is switched under processes that something else starts would never be theirs.
    """
    venv = Path(sys.prefix).resolve()
    home = Home(venv.parent.parent)
    launched = bool(os.environ.get(STARTED_BY)) and home.launcher.is_file()
    return home if launched and venv.parent.name == "app" else None


class Home:
    """The folder with the venvs. Only the agent changes it; the launcher may end a trial."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.launcher = folder / "launch"
        self._trial, self._failed = folder / "trial", folder / "failed"
        self._current, self._provisioned = folder / "current", folder / "provisioned"

    def venv(self, digest: str) -> Path:
        """Return where the venv of a set of wheels is, or would be."""
        return self.folder / "app" / digest

    def is_whole(self, digest: str) -> bool:
        """Return whether a venv was installed to its end."""
        return self._mark(digest).is_file() and self.venv(digest).is_dir()

    def mark_whole(self, digest: str) -> None:
        """Note that a venv was installed to its end, and is on the disk.

        Raises:
            OSError: the disk refuses.
        """
        write_durably(self._mark(digest), b"")

    def forget(self, digest: str) -> None:
        """Remove a venv; it is no longer whole before the first file goes."""
        mark = self._mark(digest)
        if mark.exists():
            mark.unlink()
            sync_folder(mark.parent)
        shutil.rmtree(self.venv(digest), ignore_errors=True)

    def wanted(self) -> Path:
        """Return the venv that a process should run that starts now."""
        trial = self._trial / "app"
        return (trial if self._trial.is_dir() else self._current).resolve()

    def provisioned(self) -> str:
        """Return the digest of the venv that was there before the first update.

        Empty where its name is none: then a campaign cannot ask for it by digest.
        """
        link = self._provisioned if self._provisioned.is_symlink() else self._current
        name = link.resolve().name
        return name if _DIGEST.fullmatch(name) else ""

    def follow(self, file: SlotsFile) -> Slots:
        """Carry out what the slots say, after taking in what the launcher decided.

        Raises:
            OSError, JournalError: the disk refuses; to be repeated.
        """
        slots = self._hear(file)
        attempt = slots.attempt
        if attempt is not None and _is_tried(attempt):
            self._begin(attempt.release.digest)
            return slots
        self._turn(slots)
        if self._trial.is_dir():
            self._drop(self._trial)
        return slots

    def starts(self) -> int:
        """Return how often the command that was started most was started on trial."""
        counts = [len(path.read_bytes().splitlines()) for path in self._trial.glob("starts.*")]
        return max(counts, default=0)

    def keep_only(self, digests: Collection[str]) -> None:
        """Remove every other venv but those that run, or would run."""
        links = (self._current, self._provisioned, self._trial / "app")
        kept = {link.resolve().name for link in links} | set(digests) | {running_application()}
        for venv in (self.folder / "app").glob("*"):
            if _DIGEST.fullmatch(venv.name) and venv.name not in kept:
                self.forget(venv.name)

    def _mark(self, digest: str) -> Path:
        return self.folder / "app" / f"{digest}.whole"

    def _hear(self, file: SlotsFile) -> Slots:
        """Note how often the trial was started, and that the launcher gave it up."""
        slots = file.read()
        attempt = slots.attempt
        if attempt is None or not _is_tried(attempt):
            if self._failed.is_dir():
                self._drop(self._failed)
            return slots
        digest = attempt.release.digest
        if (self._failed / "app").resolve().name == digest:
            reason = _first_line(self._failed / "reason") or "the launcher gave it up"
            slots = file.change(lambda now: fail(now, reason) if _tries(now, digest) else now)
            self._drop(self._failed)
            log.warning("application went back", extra={"digest": digest, "reason": reason})
            return slots
        starts = self.starts()
        if starts > attempt.loads:
            slots = file.change(lambda now: _loaded(now, digest, starts))
        return slots

    def _begin(self, digest: str) -> None:
        """Put a venv on trial, unless it is."""
        if (self._trial / "app").resolve().name == digest:
            return
        if not self._provisioned.is_symlink():
            self._link(self._provisioned, self._current.resolve())
        for old in (self._trial, self._failed):
            if old.is_dir():
                self._drop(old)
        new = self.folder / "trial.new"
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir()
        (new / "app").symlink_to(Path("..") / "app" / digest)
        sync_folder(new)
        new.rename(self._trial)
        sync_folder(self.folder)
        log.info("application is tried", extra={"digest": digest})

    def _turn(self, slots: Slots) -> None:
        """Make the good release current.

        Where a person has put a venv there that no slot knows, it stays.
        """
        pair = slots.wheels
        if pair.active is None and not self._provisioned.is_symlink():
            return
        provisioned = self._provisioned.resolve()
        known = {provisioned, *(self.venv(one.digest).resolve() for one in pair.both)}
        good = provisioned if pair.active is None else self.venv(pair.active.digest).resolve()
        current = self._current.resolve()
        if current != good and current in known and (good / "bin").is_dir():
            self._link(self._current, good)
            log.info("application is current", extra={"digest": good.name})

    def _link(self, link: Path, venv: Path) -> None:
        new = link.with_name(f"{link.name}.new")
        new.unlink(missing_ok=True)
        new.symlink_to(os.path.relpath(venv, link.parent))
        new.rename(link)
        sync_folder(self.folder)

    def _drop(self, folder: Path) -> None:
        """Take a folder away in one step, then its files."""
        old = self.folder / f"{folder.name}.old"
        shutil.rmtree(old, ignore_errors=True)
        folder.rename(old)
        sync_folder(self.folder)
        shutil.rmtree(old, ignore_errors=True)


def _is_tried(attempt: Attempt) -> bool:
    return attempt.release.kind is UpdateKind.WHEELS and attempt.step is Step.TRIAL


def _tries(slots: Slots, digest: str) -> bool:
    attempt = slots.attempt
    return attempt is not None and _is_tried(attempt) and attempt.release.digest == digest


def _loaded(slots: Slots, digest: str, starts: int) -> Slots:
    if slots.attempt is None or not _tries(slots, digest):
        return slots
    return replace(slots, attempt=replace(slots.attempt, loads=starts))


def _first_line(path: Path) -> str:
    try:
        return path.read_text(errors="replace").partition("\n")[0][:200]
    except OSError:
        return ""
