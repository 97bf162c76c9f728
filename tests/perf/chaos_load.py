"""Load for the chaos: real outboxes, filled with every kind of event, and what they dropped.

The golden events of the contract are drawn from in turn, with windows of five seconds that follow
each other and crossings of their own; a thread commits for all devices.
"""

from __future__ import annotations

import contextlib
import random
import threading
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from shopfloor_contracts.events import (
    DURABLE_KINDS,
    EVENT_ADAPTER,
    EventData,
    Kind,
    source_of,
)
from shopfloor_edge.errors import JournalError
from shopfloor_edge.journal.outbox import Draft, Outbox

GOLDEN = Path(__file__).resolve().parents[1] / "contract" / "golden"
CAMERAS = 4
TICK_S = 0.25
WINDOW = timedelta(seconds=5)
MAX_BYTES = 10**9


@dataclass(slots=True)
class Load:
    """One device: where its outbox is, how large it may grow, and what was put in."""

    site: str
    device: str
    folder: Path
    max_rows: int = 200_000
    committed: int = 0
    stream: str = ""
    dropped: set[int] = field(default_factory=set)
    """Sequences that the outbox gave up, whether or not they had been sent."""

    @property
    def user(self) -> str:
        """Name at the broker."""
        return f"{self.site}/{self.device}"


class Feeder(threading.Thread):
    """Commits ``rate`` events a second to each outbox until told to stop."""

    def __init__(self, loads: list[Load], *, rate: float, seed: int) -> None:
        super().__init__(name="feeder")
        self._loads, self._per_tick = loads, max(1, round(rate * TICK_S))
        self._chance = random.Random(seed)
        self._kinds = [kind for kind in sorted(DURABLE_KINDS) if kind is not Kind.ALERT]
        self._golden = {kind: _golden(kind) for kind in DURABLE_KINDS}
        self._start_at = datetime.now(UTC).replace(microsecond=0) - timedelta(days=2)
        self._outboxes: list[Outbox] = []
        self._halt = threading.Event()
        self.fault: Exception | None = None

    def run(self) -> None:
        """Open the outboxes, feed them, and end each with an alert, which nothing drops."""
        try:
            self._open()
            while not self._halt.wait(TICK_S):
                self._tick()
            self._last()
        except Exception as e:
            self.fault = e
            raise
        finally:
            self._close()

    def feed(self, ticks: int) -> None:
        """Do the same in the caller's thread, for so many ticks and without a pause."""
        self._open()
        for _ in range(ticks):
            self._tick()
        self._last()
        self._close()

    def finish(self) -> None:
        """Commit the last event of each device and return."""
        self._halt.set()
        self.join()
        if self.fault is not None:
            raise self.fault

    def _tick(self) -> None:
        for load, outbox in zip(self._loads, self._outboxes, strict=True):
            self._commit(load, outbox, [self._draft(load) for _ in range(self._per_tick)])

    def _last(self) -> None:
        for load, outbox in zip(self._loads, self._outboxes, strict=True):
            self._commit(load, outbox, [self._draft(load, Kind.ALERT)])

    def _open(self) -> None:
        for load in self._loads:
            outbox = Outbox(load.folder, max_rows=load.max_rows, max_bytes=MAX_BYTES)
            load.stream = str(outbox.position().stream)
            # A trigger of this connection alone: it sees what a commit drops, and not what the
            # agent deletes because it was acknowledged.
            outbox._connection.executescript(
                "CREATE TEMP TABLE given_up (seq INTEGER);"
                "CREATE TEMP TRIGGER giving_up AFTER DELETE ON main.outbox BEGIN"
                " INSERT INTO given_up VALUES (old.seq); END;"
            )
            self._outboxes.append(outbox)

    def _close(self) -> None:
        for load, outbox in zip(self._loads, self._outboxes, strict=False):
            load.dropped = {
                seq for (seq,) in outbox._connection.execute("SELECT seq FROM given_up")
            }
            outbox.close()

    def _commit(self, load: Load, outbox: Outbox, drafts: list[Draft]) -> None:
        while True:
            # A refused commit has left nothing behind: it is simply tried again.
            with contextlib.suppress(JournalError):
                outbox.commit(drafts)
                load.committed += len(drafts)
                return

    def _draft(self, load: Load, kind: Kind | None = None) -> Draft:
        kind = kind or self._chance.choice(self._kinds)
        number = load.committed + self._chance.randrange(self._per_tick)
        at = self._start_at + WINDOW * number
        data = self._golden[kind]
        if kind is Kind.ALERT:
            data = data.model_copy(update={"at": at, "since": at, "alert_id": uuid.uuid4()})
        else:
            data = data.model_copy(update={"window_start": at, "window_s": 5.0})
        if kind is Kind.TRAFFIC:
            lines = [
                line.model_copy(update={"crossings_in": self._chance.randrange(9)})
                for line in data.lines
            ]
            data = data.model_copy(update={"lines": lines})
        camera = f"cam-{self._chance.randrange(CAMERAS)}"
        return Draft(data, source_of(load.site, load.device, camera), datetime.now(UTC))


def _golden(kind: Kind) -> EventData:
    return EVENT_ADAPTER.validate_json((GOLDEN / f"{kind}.json").read_bytes()).data
