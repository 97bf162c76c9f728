"""A recipe with drawn boards in a folder, and its station as a real process."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np

from shopfloor_demo.boards import as_seen, draw_board, spoil
from shopfloor_edge.errors import JournalError
from shopfloor_edge.journal.parts import read_known

RECIPE = """
site = "plant-1"
device = "line-4"
station = "aoi"
window_s = 1
source = "folder:pictures"
latency_budget_ms = 30000
{more}

[trigger]
{trigger}

[[products]]
name = "board"
reference = "reference.png"

[[watch]]
alert = {{ p0 = 0.01, p1 = 0.2, arl0 = 1e4 }}
stop = {{ p0 = 0.01, p1 = 0.2, arl0 = 1e9 }}

[[golden]]
picture = "golden-good.png"
verdict = "pass"

[[golden]]
picture = "golden-bad.png"
verdict = "fail"
{tables}
"""
FRAMES = 'kind = "frames"'


class StationFiles:
    """Pictures are made once, and put into the watched folder under a part's number."""

    def __init__(
        self, folder: Path, *, more: str = "", trigger: str = FRAMES, tables: str = ""
    ) -> None:
        self.folder, self.state = folder, folder / "state"
        self.pictures = folder / "pictures"
        self.pictures.mkdir(parents=True)
        rng = np.random.default_rng(7)
        board = draw_board(1)
        self.good = as_seen(board.picture, rng)
        self.bad = as_seen(spoil(board, rng, 3)[0], rng)
        cv2.imwrite(str(folder / "reference.png"), as_seen(board.picture, rng))
        cv2.imwrite(str(folder / "golden-good.png"), self.good)
        cv2.imwrite(str(folder / "golden-bad.png"), self.bad)
        self.recipe = folder / "recipe.toml"
        self.recipe.write_text(RECIPE.format(more=more, trigger=trigger, tables=tables))

    def feed(self, number: int, picture: np.ndarray) -> None:
        """Put one picture as a camera does: complete, under its final name."""
        path = self.pictures / f"a-{number:05d}.png"
        partial = path.with_suffix(".part")
        partial.write_bytes(cv2.imencode(".png", picture, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1])
        partial.rename(path)

    def start(self) -> subprocess.Popen[bytes]:
        """Start the station; the caller ends it."""
        argv = [sys.executable, "-m", "shopfloor_edge.main", "--log-level", "warning", "inspect",
                "run", "--recipe", str(self.recipe), "--state", str(self.state)]  # fmt: skip
        with (self.folder / "station.log").open("ab") as log:
            return subprocess.Popen(argv, stdout=log, stderr=log)

    def totals(self) -> dict[str, int]:
        """Return parts by verdict, as the book has them."""
        if not (self.state / "state.db").exists():
            return {}
        try:
            known = read_known(self.state, "aoi")
        except JournalError:  # the station is just making the file
            return {}
        return dict(json.loads(known)["all_time"]) if known else {}

    def counted(self) -> int:
        """Return parts in the totals."""
        totals = self.totals()
        return sum(totals.get(name, 0) for name in ("pass", "fail", "review", "missed"))

    def wait_counted(self, parts: int, timeout_s: float = 40.0) -> None:
        """Return when so many parts are in the totals."""
        deadline_s = time.monotonic() + timeout_s
        while self.counted() < parts:
            if time.monotonic() > deadline_s:
                log = (self.folder / "station.log").read_text()[-2000:]
                raise AssertionError(f"{self.totals()} after {timeout_s} s, wanted {parts}: {log}")
            time.sleep(0.02)
