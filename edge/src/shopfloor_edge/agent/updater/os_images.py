"""An image of the OS is handed to the program that knows how to install it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from shopfloor_edge.errors import UpdateRefusedError

LIMIT_S = 3600.0
"""Gigabytes to a slow card; longer is a hang."""
START_S = 30.0
"""For SWUpdate to listen."""
_SOCKET = "sockinstctrl"
_TRIES = 3
_STARTED = "Software Update started"
_NOTICES = ("-l", "3")


@dataclass(frozen=True, slots=True)
class OsHandler:
    """SWUpdate or RAUC. Both verify the image with keys of their own and write the idle half."""

    name: str
    options: tuple[str, ...] = ()

    def install(self, image: Path) -> str:
        """Install an image; return what was said last.

        Raises:
            UpdateRefusedError: it is not installed; says why.
        """
        if self.name == "rauc":
            code, lines = _run(["rauc", "install", *self.options, str(image)], os.environ)
        else:
            code, lines = self._by_swupdate(image)
        if code != 0:
            complaints = [line for line in lines if "ERROR" in line or "rror:" in line]
            said = " ".join((complaints or lines)[-3:])[-300:]
            raise UpdateRefusedError(f"{self.name} ended with {code}: {said}")
        return f"installed by {self.name}, runs after the next boot"

    def _by_swupdate(self, image: Path) -> tuple[int, list[str]]:
        """Let a SWUpdate of our own take the image from its client.

        ``swupdate -i`` would be shorter. In 2022.12 it asks its own thread how far it is before
        that has begun, and so now and then ends early: with an image half read, or with none.
        """
        with tempfile.TemporaryDirectory(prefix="swupdate-") as folder:
            environment = os.environ | {"TMPDIR": folder}
            with _listening(self.options, environment, Path(folder)) as log:
                for _ in range(_TRIES):
                    code, lines = _run(["swupdate-client", "-v", str(image)], environment)
                    said = log.read_text(errors="replace")
                    if code == 0 or _STARTED in said:
                        break
                    time.sleep(1.0)  # it did not take the connection
            return code, [*lines, *said.splitlines()]


@contextlib.contextmanager
def _listening(
    options: Sequence[str], environment: Mapping[str, str], folder: Path
) -> Iterator[Path]:
    """Run SWUpdate until the end of the block; give its log.

    Raises:
        UpdateRefusedError: it is not there, or does not listen.
    """
    log, socket = folder / "log", folder / _SOCKET
    with log.open("wb") as file:
        try:
            process = subprocess.Popen(
                ["swupdate", *_NOTICES, *options],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,
            )
        except FileNotFoundError as e:
            raise UpdateRefusedError(_absent("swupdate")) from e
    try:
        until_s = time.monotonic() + START_S
        while not socket.exists():
            if process.poll() is not None or time.monotonic() > until_s:
                last = log.read_text(errors="replace").strip().splitlines()[-1:]
                raise UpdateRefusedError(f"swupdate does not start: {' '.join(last)[-300:]}")
            time.sleep(0.05)
        yield log
    finally:
        # Its helpers too: they are in its session, which is ours to end.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _run(command: Sequence[str], environment: Mapping[str, str]) -> tuple[int, list[str]]:
    with tempfile.TemporaryFile() as out:
        try:
            code = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                timeout=LIMIT_S,
                check=False,
                env=environment,
            ).returncode
        except FileNotFoundError as e:
            raise UpdateRefusedError(_absent(command[0])) from e
        except subprocess.TimeoutExpired as e:
            raise UpdateRefusedError(f"{command[0]}: not done within {LIMIT_S:g} s") from e
        out.seek(0)
        text = out.read(1 << 20).decode(errors="replace")
    return code, [line.strip() for line in text.splitlines()]


def _absent(program: str) -> str:
    return f"os_handler wants {program!r}, which is not installed here"
