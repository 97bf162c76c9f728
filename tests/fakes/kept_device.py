"""Agent and vision of one device as processes that an init system keeps."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import IO

KILLED = Path(__file__).with_name("killed.py")


class KeptDevice:
    """Agent and vision as an init system keeps them: started again whenever they end."""

    def __init__(
        self,
        folder: Path,
        environment: dict[str, str],
        launcher: Path | None = None,
        *,
        inside: Sequence[str] = (),
    ) -> None:
        """Keep the processes of the site file in ``folder``; ``inside`` is put before commands."""
        self._folder, self._environment = folder, environment
        self._launcher, self._inside = launcher, inside
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self.kills = 0

    def keep(self, command: str, points: str = "-", log: str = "-") -> None:
        """Run ``command`` for ever; it is killed at each of the points in that file once."""
        thread = threading.Thread(target=self._run, args=(command, points, log))
        thread.start()
        self._threads.append(thread)

    def stop(self) -> None:
        """End both."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _run(self, command: str, points: str, log: str) -> None:
        site, state = self._folder / "site.toml", self._folder / "state"
        while not self._stop.is_set():
            with (self._folder / f"{command}.log").open("ab") as file:
                arguments = [command, "--site", str(site), "--state", str(state)]
                child = self._start(arguments, points, log, file)
                while child.poll() is None and not self._stop.wait(0.05):
                    pass
                if child.poll() is None:
                    child.terminate()
                    try:
                        child.wait(20)
                    except subprocess.TimeoutExpired:
                        child.kill()
                        child.wait()
                elif child.returncode == -9:
                    self.kills += 1

    def _start(
        self, arguments: list[str], points: str, log: str, errors: IO[bytes]
    ) -> subprocess.Popen[bytes]:
        """Start a process: by the launcher where there is one, else out of this venv."""
        environment, program = self._environment, [sys.executable, str(KILLED), points, log]
        if self._launcher is not None:
            program = [str(self._launcher)]
            told = {"VICTIM": arguments[0], "POINTS": points, "LOG": log}
            environment = environment | {f"KILLED_{key}": value for key, value in told.items()}
        return subprocess.Popen(
            [*self._inside, *program, *arguments], env=environment, stderr=errors
        )
