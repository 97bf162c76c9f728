"""The station's end of the pipe to its keeper; a keeper that dies is started again."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

from shopfloor_edge.inspection.line import LineSignal, Ruling

log = logging.getLogger(__name__)

FAREWELL_S = 3.0


class LineLink(Protocol):
    """How a station speaks to its line."""

    def show(self, signal: LineSignal) -> None:
        """Set what the line may do."""

    def rule(self, ruling: Ruling) -> None:
        """Say what becomes of a part."""

    def beat(self) -> None:
        """Say that the station lives."""


class DryLink:
    """Tells the line nothing; the log says what it would have heard."""

    def show(self, signal: LineSignal) -> None:
        """Log it."""
        log.info("dry run: line", extra=_without_clash(asdict(signal)))

    def rule(self, ruling: Ruling) -> None:
        """Log it."""
        log.debug("dry run: part", extra=_without_clash(asdict(ruling)))

    def beat(self) -> None:
        """Nothing hears it."""

    def close(self) -> None:
        """Nothing is held."""


class KeeperLink:
    """Starts the keeper of the outputs and writes to it; never blocks."""

    def __init__(self, recipe_path: Path) -> None:
        self._argv = [
            sys.executable, "-m", "shopfloor_edge.station.keeper", "--recipe", str(recipe_path),
        ]  # fmt: skip
        self._signal: LineSignal | None = None
        self._beats = 0
        self.lost = 0
        """Words that the keeper did not take."""
        self._keeper = self._spawn()

    def show(self, signal: LineSignal) -> None:
        """See ``LineLink``."""
        self._signal = signal
        self._say({"line": asdict(signal)})

    def rule(self, ruling: Ruling) -> None:
        """See ``LineLink``."""
        self._say({"part": asdict(ruling)})

    def beat(self) -> None:
        """See ``LineLink``; looks after the keeper, too."""
        if self._keeper.poll() is not None:
            log.error("keeper ended", extra={"status": self._keeper.returncode})
            self._keeper = self._spawn()
            if self._signal is not None:
                self.show(self._signal)
        self._beats += 1
        self._say({"beat": self._beats})

    def close(self) -> None:
        """Leave the line as the recipe says for a station that is gone, and end the keeper."""
        if self._keeper.stdin is not None:
            self._keeper.stdin.close()
        try:
            self._keeper.wait(FAREWELL_S)
        except subprocess.TimeoutExpired:
            self._keeper.kill()
            self._keeper.wait()

    def _spawn(self) -> subprocess.Popen[bytes]:
        # A session of its own: what ends us must not end the one that tells the line.
        keeper = subprocess.Popen(
            self._argv, stdin=subprocess.PIPE, start_new_session=True, bufsize=0
        )
        if keeper.stdin is not None:
            os.set_blocking(keeper.stdin.fileno(), False)
        return keeper

    def _say(self, word: dict[str, Any]) -> None:
        if self._keeper.stdin is None or self._keeper.stdin.closed:
            return
        line = json.dumps(word).encode() + b"\n"
        try:
            # Below PIPE_BUF a write is whole or not at all.
            written = self._keeper.stdin.write(line)
        except BrokenPipeError:
            written = None
        self.lost += written is None


def _without_clash(fields: dict[str, Any]) -> dict[str, Any]:
    return {f"line_{key}": value for key, value in fields.items()}
