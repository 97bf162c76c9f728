"""An image of the OS is handed to the program that knows how to install it."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from shopfloor_edge.errors import UpdateRefusedError

LIMIT_S = 3600.0
"""Gigabytes to a slow card; longer is a hang."""
_COMMANDS = {"swupdate": ("swupdate", "-i"), "rauc": ("rauc", "install")}


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
        program, verb = _COMMANDS[self.name]
        command = [program, *self.options, verb, str(image)]
        if self.name == "rauc":
            command = [program, verb, *self.options, str(image)]
        code, said = _run(command, self.name)
        if code != 0:
            raise UpdateRefusedError(f"{self.name} ended with {code}: {said}")
        return f"installed by {self.name}, runs after the next boot"


def _run(command: Sequence[str], name: str) -> tuple[int, str]:
    with tempfile.TemporaryFile() as out:
        try:
            code = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                timeout=LIMIT_S,
                check=False,
            ).returncode
        except FileNotFoundError as e:
            raise UpdateRefusedError(f"os_handler is {name!r}, which is not installed here") from e
        except subprocess.TimeoutExpired as e:
            raise UpdateRefusedError(f"{name}: not done within {LIMIT_S:g} s") from e
        out.seek(0)
        lines = [line.strip() for line in out.read(1 << 20).decode(errors="replace").splitlines()]
    complaints = [line for line in lines if "ERROR" in line or "rror:" in line]
    return code, " ".join((complaints or lines)[-3:])[-300:]
