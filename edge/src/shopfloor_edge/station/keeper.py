"""The keeper of the outputs: a process of its own, so that the line hears when the station dies.

It reads lines of JSON from the station. When they end, or stop for ``SILENCE_S``, it says to every
output what the recipe's interlock says. It judges nothing and holds no picture.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import json
import logging
import os
import queue
import select
import signal
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from shopfloor_contracts.recipes import Recipe
from shopfloor_edge.errors import OutputError
from shopfloor_edge.inspection.line import LineOutput, LineSignal, Ruling, safe_signal
from shopfloor_edge.inspection.ports import Verdict
from shopfloor_edge.logs import configure_logging
from shopfloor_edge.station.recipe_file import load_recipe

log = logging.getLogger(__name__)

SILENCE_S = 0.8
"""With the way to the line this stays below one second."""
READ_BYTES = 65_536
LINGER_S = 0.2
RETRY_S = 1.0
PORTS = ("mqtt", "opcua_server", "opcua_client", "gpio")


class Keeper:
    """Hands words on to the outputs; one that fails is opened again, the others go on.

    Opening is done beside: a PLC that does not answer must not keep a stop from the others.
    """

    def __init__(self, recipe: Recipe) -> None:
        self._recipe = recipe
        self._outputs: dict[str, LineOutput | None] = {
            name: None for name in PORTS if getattr(recipe.outputs, name) is not None
        }
        self._retry_at_s = 0.0
        self._told = ""
        self._opening: set[str] = set()
        self._tried: queue.SimpleQueue[tuple[str, LineOutput | str]] = queue.SimpleQueue()
        self.signal = safe_signal(recipe.interlock, "starting")

    def lost(self, reason: str) -> LineSignal:
        """Return what the line hears without a station."""
        return safe_signal(self._recipe.interlock, reason)

    def open(self) -> None:
        """Take what has been opened; begin to open what is not, at most once a second."""
        while not self._tried.empty():
            self._take_up(*self._tried.get_nowait())
        if time.monotonic() < self._retry_at_s:
            return
        self._retry_at_s = time.monotonic() + RETRY_S
        for name, output in self._outputs.items():
            if output is None and name not in self._opening:
                self._opening.add(name)
                threading.Thread(target=self._open, args=(name,), daemon=True).start()

    def show(self, signal: LineSignal) -> None:
        """Set what the line may do, on every output."""
        self.signal = signal
        for name, output in self._opened():
            self._try(name, lambda output=output: output.show(signal))

    def take(self, word: dict[str, Any]) -> None:
        """Hand on one word of the station."""
        if "line" in word:
            self.show(LineSignal(**word["line"]))
        elif "part" in word:
            ruling = Ruling(**{**word["part"], "verdict": Verdict(word["part"]["verdict"])})
            for name, output in self._opened():
                self._try(name, lambda output=output: output.rule(ruling))
        elif "beat" in word:
            for name, output in self._opened():
                self._try(name, lambda output=output: output.beat(int(word["beat"])))

    def close(self) -> None:
        """Let go of every output."""
        for name, output in self._opened():
            self._try(name, output.close)

    def _opened(self) -> list[tuple[str, LineOutput]]:
        return [(name, output) for name, output in self._outputs.items() if output is not None]

    def _open(self, name: str) -> None:
        """Open an output; in a thread of its own, which hands it over and never speaks on it."""
        module = importlib.import_module(f"shopfloor_edge.inspection.outputs.{name}")
        spec = getattr(self._recipe.outputs, name)
        lost = safe_signal(self._recipe.interlock, "inspector lost")
        try:
            self._tried.put((name, module.open_output(spec, lost=lost, name=self._recipe.station)))
        except OutputError as e:
            self._tried.put((name, str(e)))
        except Exception as e:
            log.exception("output cannot be opened", extra={"output": name})
            self._tried.put((name, str(e) or type(e).__name__))

    def _take_up(self, name: str, found: LineOutput | str) -> None:
        self._opening.discard(name)
        if isinstance(found, str):
            if found != self._told:
                log.warning("output is not there", extra={"output": name, "reason": found})
            self._told = found
            return
        self._outputs[name] = found
        log.info("output open", extra={"output": name})
        self._try(name, lambda: found.show(self.signal))

    def _try(self, name: str, act: Any) -> None:
        try:
            act()
        except OutputError as e:
            log.warning("output failed", extra={"output": name, "reason": str(e)})
            self._outputs[name] = None


def keep(keeper: Keeper, descriptor: int, *, silence_s: float = SILENCE_S) -> None:
    """Hand on words until they end; then say that the inspector is lost, and return."""
    lost = keeper.lost("inspector lost")
    silent = keeper.lost("inspector does not answer")
    wanted: LineSignal | None = None
    rest, heard_s, is_silent = b"", time.monotonic(), False
    while True:
        keeper.open()
        ready, _, _ = select.select([descriptor], [], [], 0.1)
        if ready:
            chunk = os.read(descriptor, READ_BYTES)
            if not chunk:
                break
            *lines, rest = (rest + chunk).split(b"\n")
            heard_s = time.monotonic()
            words = [json.loads(line) for line in lines]
            wanted = next((LineSignal(**w["line"]) for w in reversed(words) if "line" in w), wanted)
            if is_silent and wanted is not None:
                is_silent = False
                keeper.show(wanted)
            for word in words:
                keeper.take(word)
        elif not is_silent and time.monotonic() - heard_s > silence_s:
            is_silent = True
            keeper.show(silent)
    keeper.show(lost)
    # Readers of a server of ours get what was written before it goes.
    time.sleep(LINGER_S)
    keeper.close()


def main(argv: Sequence[str] | None = None) -> int:
    """Keep the outputs of one station until standard input ends."""
    parser = argparse.ArgumentParser(prog="shopfloor-edge inspect keeper")
    parser.add_argument("--recipe", type=Path, required=True)
    arguments = parser.parse_args(argv)
    configure_logging("info")
    # A supervisor that ends all of us at once must not end the one that tells the line: the
    # station's end of the pipe ends us, with the safe state.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    # Ctrl-C in a terminal reaches the station, which tells us; we outlive it.
    with contextlib.suppress(KeyboardInterrupt):
        keep(Keeper(load_recipe(arguments.recipe)), sys.stdin.fileno())
    return 0


if __name__ == "__main__":
    sys.exit(main())
