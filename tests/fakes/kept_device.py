"""Agent and vision of one device as processes that an init system keeps."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

KILLED = Path(__file__).with_name("killed.py")


class KeptDevice:
    """Agent and vision as an init system keeps them: started again whenever they end."""

    def __init__(
        self, folder: Path, environment: dict[str, str], *, inside: Sequence[str] = ()
    ) -> None:
        """Keep the processes of the site file in ``folder``; ``inside`` is put before commands."""
        self._folder, self._environment, self._inside = folder, environment, inside
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
                child = subprocess.Popen(
                    [*self._inside, sys.executable, str(KILLED), points, log, *arguments],
                    env=self._environment,
                    stderr=file,
                )
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
