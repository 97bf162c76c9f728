"""Ends a process when another venv is to run than its own; whoever keeps it starts it again."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from pathlib import Path

from shopfloor_edge.slots.applications import Home, find_home

log = logging.getLogger(__name__)

LOOK_S = 1.0
PATIENCE_S = 60.0
"""For an orderly end; what was written durably survives the other one."""


def watch_application() -> None:
    """Begin to watch, where this process was started by the launcher."""
    home = find_home()
    if home is not None:
        threading.Thread(target=_watch, args=(home,), name="superseded", daemon=True).start()


def _watch(home: Home) -> None:
    mine, pause = Path(sys.prefix).resolve(), threading.Event()
    while True:
        pause.wait(LOOK_S)
        wanted = home.wanted()
        if wanted != mine and (wanted / "bin").is_dir():
            break
    log.info("another application is to run, ending", extra={"digest": wanted.name})
    os.kill(os.getpid(), signal.SIGTERM)
    pause.wait(PATIENCE_S)
    os.kill(os.getpid(), signal.SIGKILL)
