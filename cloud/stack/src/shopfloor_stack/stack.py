"""Brings a stack up, says how it is, and ends it; each can be done again without harm."""

from __future__ import annotations

import fcntl
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from shopfloor_stack import programs
from shopfloor_stack.daemon import Daemon
from shopfloor_stack.errors import OperatorError, PartFailedError, PortTakenError
from shopfloor_stack.layout import Layout
from shopfloor_stack.parts import HOST, Part, Parts
from shopfloor_stack.probes import complaint, is_free
from shopfloor_stack.settings import Settings

READY_S = 60.0
"""Most parts take a second; a database that recovers, or a cold disk, takes longer."""
_POLL_S = 0.05

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Row:
    """One part as an operator sees it."""

    part: str
    state: str
    """``healthy``, ``stopped``, or what is wrong."""
    address: str
    log: Path | None

    @property
    def is_healthy(self) -> bool:
        """Say whether it does its work, or is not wanted here."""
        return self.state == "healthy" or self.log is None


class Stack:
    """The parts that are kept in ``settings.folder``."""

    def __init__(self, settings: Settings, say: Say) -> None:
        self._settings, self._say = settings, say
        self.layout = Layout(settings.folder)
        self._daemon = Daemon(self.layout)

    def up(self) -> None:
        """Start what does not run, and return when every part is ready.

        Raises:
            OperatorError: a program is missing, a port is taken, or other settings are running.
            PartFailedError: a part ended, or is not ready in time.
        """
        found = programs.require()
        self.layout.make()
        with self._alone():
            running = self._daemon.running()
            if running is not None and running.ports != dict(self._settings.ports):
                raise OperatorError("runs already on other ports: 'make cloud-down' first")
            parts = Parts(self._settings, self.layout, found).build()
            text = self._daemon.describe(part.program for part in parts)
            if running is None:
                self._begin(parts, text)
            elif self._daemon.file.read_text() != text:
                raise OperatorError("runs already with other parts: 'make cloud-down' first")
            for part in parts:
                self._bring(part)

    def down(self, *, wipe: bool) -> bool:
        """End everything that ``up`` started; says whether anything ran.

        With ``wipe`` data, passwords and keys go too.
        """
        if not self.layout.is_ours():
            return False
        with self._alone():
            ran = self._daemon.running() is not None
            self._daemon.stop()
        if wipe:
            shutil.rmtree(self.layout.root)
        return ran

    def ports(self) -> Mapping[str, int]:
        """Return where parts listen: those that run, else those that would."""
        running = self._daemon.running()
        return self._settings.ports if running is None else running.ports

    def status(self) -> list[Row]:
        """Return every part; none are started, and no file is written."""
        running = self._daemon.running() if self.layout.is_ours() else None
        if running is None:
            return []
        states = self._daemon.states()
        rows = [
            self._row(name, states[name], address, probe) for name, address, probe in running.parts
        ]
        if "grafana" not in states:
            rows.append(Row("grafana", "not installed", "see docs/cloud.md", None))
        return rows

    def _begin(self, parts: list[Part], text: str) -> None:
        ended = self._daemon.end_leftovers()
        if ended:
            self._say(f"ended {ended} processes of a stack whose supervisor was killed")
        for part in parts:
            port = self._settings.ports[part.name]
            if not is_free(HOST, port):
                raise PortTakenError(part.name, port)
        told = [(part.name, part.address, part.probe) for part in parts]
        self._daemon.start(text, self._settings.ports, told)

    def _bring(self, part: Part) -> None:
        state, _ = self._daemon.states()[part.name]
        if state in ("RUNNING", "STARTING"):
            self._say(f"{part.name} runs already")
        else:
            self._say(f"{part.name} starts")
            self._daemon.start_part(part.name)
        self._wait(part)
        if part.after_start is not None:
            part.after_start()

    def _wait(self, part: Part) -> None:
        deadline = time.monotonic() + READY_S
        while (found := complaint(part.probe)) is not None:
            self._daemon.check(part.name)
            if time.monotonic() > deadline:
                log = self.layout.logs / f"{part.name}.log"
                raise PartFailedError(part.name, f"{found} after {READY_S:g} s", log)
            time.sleep(_POLL_S)

    def _row(self, name: str, state: tuple[str, int], address: str, probe: str) -> Row:
        log = self.layout.logs / f"{name}.log"
        said, pid = state
        return Row(name, (complaint(probe) or "healthy") if pid else said.lower(), address, log)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        with (self.layout.root / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as e:
                raise OperatorError(f"{self.layout.root}: another command is at work there") from e
            yield
