"""Supervisor (supervisord.org), which keeps the parts running: its file, its process, its socket.

It is told apart from a stranger with its old process id by the time of its start. It and what it
starts carry the stack's folder in their environment, so that nothing is left behind when it dies.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
import xmlrpc.client
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from supervisor.xmlrpc import SupervisorTransport

from shopfloor_stack.errors import PartFailedError, StackError
from shopfloor_stack.layout import Layout, write_private

MARK = "SHOPFLOOR_STACK"
SOCKET_PATH_BYTES = 90
"""A Unix socket's path has at most 108; supervisor adds its process id while it binds."""

_START_S = 20.0
_STOP_S = 90.0
_POLL_S = 0.05
_ENDED = ("FATAL", "UNKNOWN")


@dataclass(frozen=True, slots=True)
class Program:
    """What supervisor starts under a name."""

    name: str
    argv: list[str]
    account: str | None = None
    stop_signal: str = "TERM"
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Record:
    """Who was started; what is written down of it."""

    pid: int
    created_at: float
    """Seconds since the epoch, as the kernel tells it."""
    socket: str
    ports: dict[str, int]
    parts: list[tuple[str, str, str]]
    """Name, address and probe of each, in the order of their start."""


class Daemon:
    """One supervisord of a stack."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout

    @property
    def file(self) -> Path:
        """Its configuration."""
        return self._layout.config / "supervisord.conf"

    def record(self) -> Record | None:
        """Return what was started last, whether or not it still runs."""
        try:
            return Record(**json.loads(self._layout.record.read_text()))
        except (FileNotFoundError, TypeError, ValueError):
            # A record of another version: its processes are still known by their mark.
            return None

    def running(self) -> Record | None:
        """Return the record if the very process that was started still runs."""
        record = self.record()
        return record if record is not None and _process(record) is not None else None

    def start(
        self, text: str, ports: Mapping[str, int], parts: Iterable[tuple[str, str, str]]
    ) -> None:
        """Start it with no part running; ``ports`` and ``parts`` are written down.

        Raises:
            PartFailedError: it does not answer.
        """
        write_private(self.file, text)
        argv = [sys.executable, "-m", "supervisor.supervisord", "-c", str(self.file)]
        environment = {**os.environ, MARK: str(self._layout.root)}
        done = subprocess.run(
            argv, capture_output=True, text=True, check=False, cwd="/", env=environment
        )
        if done.returncode:
            raise StackError(f"supervisord: {(done.stderr or done.stdout).strip()[-300:]}")
        pid = self._first_answer()
        record = {
            "pid": pid,
            "created_at": psutil.Process(pid).create_time(),
            "socket": str(self._socket()),
            "ports": dict(ports),
            "parts": list(parts),
        }
        write_private(self._layout.record, json.dumps(record, indent=1))

    def states(self) -> dict[str, tuple[str, int]]:
        """Return state and process id of each part; ``pid`` is 0 where none runs."""
        with self._asking() as ask:
            found: list[dict[str, Any]] = ask.getAllProcessInfo()
        return {str(row["name"]): (str(row["statename"]), int(row["pid"])) for row in found}

    def start_part(self, name: str) -> None:
        """Start a part that does not run; returns before it is ready."""
        with self._asking() as ask, contextlib.suppress(xmlrpc.client.Fault):
            # A fault says that it was started meanwhile, or ends at once: its state tells which.
            ask.startProcess(name, False)  # noqa: FBT003 — as supervisor's interface has it

    def check(self, name: str) -> None:
        """Do nothing unless supervisor has given the part up.

        Raises:
            PartFailedError: it has; says what the part said last.
        """
        state, _ = self.states()[name]
        if state in _ENDED:
            log = self._layout.logs / f"{name}.log"
            raise PartFailedError(name, f"ended: {_last_line(log)}", log)

    def stop(self) -> None:
        """End every part, in the reverse order of their start, and supervisor itself."""
        record = self.running()
        if record is not None:
            process = psutil.Process(record.pid)
            with self._asking() as ask:
                ask.shutdown()
            process.wait(_STOP_S)
            Path(record.socket).unlink(missing_ok=True)
        self.end_leftovers()
        self._layout.record.unlink(missing_ok=True)

    def end_leftovers(self) -> int:
        """End parts whose supervisor was killed; returns how many there were."""
        left = list(leftovers(self._layout.root))
        for process in left:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.terminate()
        _, stubborn = psutil.wait_procs(left, timeout=20)
        for process in stubborn:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(stubborn, timeout=10)
        return len(left)

    def describe(self, programs: Iterable[Program]) -> str:
        """Return supervisor's configuration for these parts."""
        layout = self._layout
        sections = [
            _section("unix_http_server", {"file": str(self._socket()), "chmod": "0700"}),
            _section(
                "supervisord",
                {
                    "logfile": str(layout.logs / "supervisord.log"),
                    "pidfile": str(layout.config / "supervisord.pid"),
                    "childlogdir": str(layout.logs),
                    "umask": "077",
                    **({"user": "root"} if os.geteuid() == 0 else {}),
                },
            ),
            _section(
                "rpcinterface:supervisor",
                {
                    "supervisor.rpcinterface_factory": "supervisor.rpcinterface:"
                    "make_main_rpcinterface"
                },
            ),
        ]
        for order, program in enumerate(programs, start=1):
            sections.append(self._program(program, order))
        return "\n".join(sections)

    def _program(self, program: Program, order: int) -> str:
        values = {
            "command": shlex.join(program.argv),
            "directory": "/",
            "priority": str(order),
            "autostart": "false",
            "autorestart": "true",
            "startretries": "5",
            "stopsignal": program.stop_signal,
            "stopwaitsecs": "20",
            "redirect_stderr": "true",
            "stdout_logfile": str(self._layout.logs / f"{program.name}.log"),
            "stdout_logfile_maxbytes": "10MB",
            "stdout_logfile_backups": "2",
        }
        if program.account is not None:
            values["user"] = program.account
        if program.environment:
            values["environment"] = _environment(program.environment)
        return _section(f"program:{program.name}", values)

    def _socket(self) -> Path:
        inside = self._layout.config / "supervisor.sock"
        if len(os.fsencode(inside)) <= SOCKET_PATH_BYTES:
            return inside
        # Nobody else can make this folder ours: the sticky bit, and 0700 that is checked by owner.
        folder = Path(tempfile.gettempdir()) / f"shopfloor-{os.geteuid()}"
        folder.mkdir(mode=0o700, exist_ok=True)
        if folder.stat().st_uid != os.geteuid() or folder.is_symlink():
            raise StackError(f"{folder}: belongs to somebody else")
        digest = hashlib.sha256(os.fsencode(self._layout.root)).hexdigest()
        return folder / f"{digest[:16]}.sock"

    @contextlib.contextmanager
    def _asking(self) -> Iterator[Any]:
        transport = SupervisorTransport(None, None, f"unix://{self._socket()}")
        proxy = xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport)
        try:
            yield proxy.supervisor
        except (OSError, http.client.HTTPException) as e:
            raise StackError(f"supervisor does not answer at {self._socket()}: {e}") from e
        finally:
            transport.close()

    def _first_answer(self) -> int:
        deadline = time.monotonic() + _START_S
        while True:
            try:
                with self._asking() as ask:
                    return int(ask.getPID())
            except StackError as e:
                if time.monotonic() > deadline:
                    log = self._layout.logs / "supervisord.log"
                    raise PartFailedError("supervisord", str(e), log) from e
            time.sleep(_POLL_S)


def leftovers(root: Path) -> Iterator[psutil.Process]:
    """Give every process that was started for the stack in ``root``, by the mark it carries."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.environ().get(MARK) == str(root) and process.pid != os.getpid():
                yield process


def _process(record: Record) -> psutil.Process | None:
    try:
        process = psutil.Process(record.pid)
        # A clock that was set moves what the kernel tells by as much; not by minutes.
        same = abs(process.create_time() - record.created_at) < 2.0
    except psutil.NoSuchProcess:
        return None
    return process if same and process.status() != psutil.STATUS_ZOMBIE else None


def _section(name: str, values: Mapping[str, str]) -> str:
    # Supervisor expands %(…)s in what it reads.
    lines = [f"{key} = {value.replace('%', '%%')}" for key, value in values.items()]
    return "\n".join([f"[{name}]", *lines, ""])


def _environment(values: Mapping[str, str]) -> str:
    return ",".join(f'{key}="{value}"' for key, value in values.items())


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    return next((line.strip()[:300] for line in reversed(lines) if line.strip()), "said nothing")
