"""Real processes, each with a log file; ends those it started and no others."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

import psutil

from shopfloor_demo.errors import ProcessDiedError, WaitedTooLongError

# setpriv (util-linux, present on every Debian and Ubuntu) sets PR_SET_PDEATHSIG: the kernel ends
# the child even if we are ended by SIGKILL. A preexec_fn could do the same, but may deadlock in a
# process that has threads. Were we gone before it was set, nobody would send the signal: so the
# shell compares its parent with us, and only then becomes the program.
_LEASH = ("setpriv", "--pdeathsig", "KILL", "--", "sh", "-c", 'test "$PPID" = "$0" && exec "$@"')
_POLL_S = 0.02


@dataclass(slots=True)
class _Child:
    argv: tuple[str, ...]
    env: Mapping[str, str]
    popen: subprocess.Popen[bytes]
    earlier_cpu_s: float = 0.0
    """Of the runs before this one, when it was restarted."""
    last_cpu_s: float = field(default=0.0)


class Processes:
    """Starts and ends named processes; as a context manager it leaves none behind.

    Start processes from a thread that lives as long as they do: the kernel's death signal
    belongs to the thread that forked, not to the process.
    """

    def __init__(self, log_dir: Path) -> None:
        log_dir.mkdir(parents=True, exist_ok=True)
        self._log_dir = log_dir
        self._children: dict[str, _Child] = {}

    def __enter__(self) -> Processes:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop_all()

    def start(self, name: str, argv: Sequence[str], *, env: Mapping[str, str] | None = None) -> int:
        """Start ``argv`` as ``name`` and return its process id; its output goes to its log.

        ``env`` is added to our own environment.
        """
        if self.is_running(name):
            raise ValueError(f"{name} is running already")
        before = self.cpu_s(name) if name in self._children else 0.0
        popen = self._spawn(name, argv, env or {})
        self._children[name] = _Child(tuple(argv), env or {}, popen, earlier_cpu_s=before)
        return popen.pid

    def _spawn(
        self, name: str, argv: Sequence[str], env: Mapping[str, str]
    ) -> subprocess.Popen[bytes]:
        with self.log_path(name).open("ab") as log:
            # A session of its own: Ctrl-C in the terminal reaches us alone, and we end the
            # others in the order that loses nothing.
            return subprocess.Popen(
                [*_LEASH, str(os.getpid()), *argv],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **env},
                start_new_session=True,
            )

    def restart(self, name: str) -> int:
        """Start ``name`` again as it was started before; end it first if it runs."""
        if self.is_running(name):
            self.stop(name)
        child = self._children[name]
        return self.start(name, child.argv, env=child.env)

    def kill9(self, name: str) -> None:
        """End ``name`` with SIGKILL, and return when it is gone."""
        self._signal(name, signal.SIGKILL)
        self._wait(name, timeout_s=10.0)

    def stop(self, name: str, *, grace_s: float = 10.0) -> int:
        """Ask ``name`` to end, end it after ``grace_s``, and return its exit status."""
        self._signal(name, signal.SIGTERM)
        if self._wait(name, timeout_s=grace_s) is None:
            self._signal(name, signal.SIGKILL)
            self._wait(name, timeout_s=10.0)
        status = self.returncode(name)
        return -signal.SIGKILL if status is None else status

    def stop_all(self) -> None:
        """End everything that still runs, the last started first."""
        running = [name for name in reversed(self._children) if self.is_running(name)]
        for name in running:
            self._signal(name, signal.SIGTERM)
        for name in running:
            self.stop(name, grace_s=5.0)

    def is_running(self, name: str) -> bool:
        """Say whether ``name`` was started and has not ended."""
        return name in self._children and self.returncode(name) is None

    def returncode(self, name: str) -> int | None:
        """Return the exit status of ``name``, negative for a signal, None while it runs."""
        child = self._children[name]
        if child.popen.returncode is None:
            # wait4 and not Popen.poll: only the wait that reaps a child tells what it used.
            pid, status, usage = os.wait4(child.popen.pid, os.WNOHANG)
            if pid:
                child.popen.returncode = os.waitstatus_to_exitcode(status)
                child.last_cpu_s = usage.ru_utime + usage.ru_stime
        return child.popen.returncode

    def cpu_s(self, name: str) -> float:
        """Return the user and system time of all runs of ``name`` so far."""
        child = self._children[name]
        if self.returncode(name) is None:
            times = psutil.Process(child.popen.pid).cpu_times()
            return child.earlier_cpu_s + times.user + times.system
        return child.earlier_cpu_s + child.last_cpu_s

    def pid(self, name: str) -> int:
        """Return the process id of the last run of ``name``."""
        return self._children[name].popen.pid

    def log_path(self, name: str) -> Path:
        """Return where ``name`` writes its output."""
        return self._log_dir / f"{name}.log"

    def check(self, *names: str) -> None:
        """Do nothing if all of ``names`` run.

        Raises:
            ProcessDiedError: one of them has ended.
        """
        for name in names:
            status = self.returncode(name)
            if status is not None:
                log = self.log_path(name)
                raise ProcessDiedError(name, returncode=status, log=log, tail=_last_line(log))

    def wait(self, name: str, *, timeout_s: float) -> int:
        """Wait for ``name`` to end by itself and return its exit status.

        Raises:
            WaitedTooLongError: it still runs.
        """
        status = self._wait(name, timeout_s=timeout_s)
        if status is None:
            raise WaitedTooLongError(f"end of {name}", timeout_s=timeout_s)
        return status

    def _wait(self, name: str, *, timeout_s: float) -> int | None:
        deadline = time.monotonic() + timeout_s
        while (status := self.returncode(name)) is None and time.monotonic() < deadline:
            time.sleep(_POLL_S)
        return status

    def _signal(self, name: str, number: signal.Signals) -> None:
        # Not reaped yet means that the id cannot belong to another process.
        if self.is_running(name):
            os.kill(self.pid(name), number)


def wait_until(
    condition: Callable[[], bool], *, timeout_s: float, what: str, interval_s: float = 0.05
) -> None:
    """Return as soon as ``condition`` holds.

    Raises:
        WaitedTooLongError: it did not within ``timeout_s``; says that there was no ``what``.
    """
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() >= deadline:
            raise WaitedTooLongError(what, timeout_s=timeout_s)
        time.sleep(interval_s)


def free_port() -> int:
    """Return a TCP port of the loopback address that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").split("\n") if log.exists() else []
    return next((line.strip()[:300] for line in reversed(lines) if line.strip()), "")
