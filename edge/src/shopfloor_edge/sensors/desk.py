"""All watches of one device, and the outbox that they write to."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from shopfloor_contracts.aggregates import SensorData
from shopfloor_contracts.alerts import AlertData
from shopfloor_contracts.events import EventData, source_of
from shopfloor_contracts.sensors import SensorFile, SensorSpec
from shopfloor_edge.errors import JournalError
from shopfloor_edge.journal.outbox import Draft, Outbox
from shopfloor_edge.sensors.memory import load, save
from shopfloor_edge.sensors.samples import Samples
from shopfloor_edge.sensors.watch import SensorWatch, memory_version

log = logging.getLogger(__name__)

HELD_MAX = 20_000
"""Events held while the disk refuses: a day of 14 sensors' minutes."""
LATE_S = 2.0
"""Network and sender, beside the stretch that a message may hold."""
FUTURE_S = 60.0
"""A live sample farther ahead comes from a wrong clock; it would make every later one late."""

EARLIEST_S, LATEST_S = 31_536_000.0, 4_102_444_800.0
"""1971 and 2100: instants outside are a clock's that was never set."""


class Desk:
    """Hands samples to their watches, and what those say to the outbox; never loses in order.

    Args:
        live_s: the wall clock, in seconds since the epoch; None in a replay.

    Raises:
        JournalError: at the start only, when the journal cannot be opened at all.
    """

    def __init__(
        self, file: SensorFile, state: Path, *, live_s: Callable[[], float] | None
    ) -> None:
        self._state, self._live_s = state, live_s
        self._outbox = Outbox(state, max_rows=file.outbox.max_rows, max_bytes=file.outbox.max_bytes)
        self._watches = {spec.name: self._watch(file, spec) for spec in file.sensors}
        self._held: deque[Draft] = deque(maxlen=HELD_MAX)
        self._unsaved: set[str] = set()
        self._failing = False
        self.events = self.alerts = self.refused = 0

    def take(self, samples: Samples) -> None:
        """Give samples to their sensor's watch."""
        watch = self._watches[samples.sensor]
        latest_s = LATEST_S if self._live_s is None else self._live_s() + FUTURE_S
        last_s = samples.at_s + (len(samples.values) - 1) / watch.spec.rate_hz
        if not EARLIEST_S <= samples.at_s <= last_s <= latest_s:
            self.refuse("a sample is from the future, or from long ago", samples.sensor)
            return
        self._say(watch, watch.add(samples.at_s, samples.values))

    def refuse(self, reason: str, sensor: str) -> None:
        """Count what could not be read; the first and every thousandth is told."""
        if self.refused % 1000 == 0:
            log.warning("input is refused", extra={"reason": reason[:200], "sensor": sensor})
        self.refused += 1

    def tick(self, now_s: float) -> None:
        """Let the time pass; commit what is to be told."""
        for watch in self._watches.values():
            self._say(watch, watch.tick(now_s))
        self.commit()

    def commit(self) -> None:
        """Write what is held, then what the watches know; a disk that refuses is tried again."""
        if not self._held and not self._unsaved:
            return
        try:
            if self._held:
                self._outbox.commit(list(self._held))
            self._held.clear()
            for name in sorted(self._unsaved):
                save(self._state, name, self._watches[name].memory())
            self._unsaved.clear()
        except JournalError as e:
            if not self._failing:
                log.warning("journal cannot be written, trying again", extra={"reason": str(e)})
            self._failing = True
        else:
            self._failing = False

    def close(self) -> int:
        """Tell what is open, and close; return how many events could not be kept."""
        for watch in self._watches.values():
            self._say(watch, watch.finish())
            self._unsaved.add(watch.spec.name)
        self.commit()
        if self._held:
            log.error("events lost at stop", extra={"events": len(self._held)})
        self._outbox.close()
        return len(self._held)

    def _say(self, watch: SensorWatch, said: Iterable[EventData]) -> None:
        for data in said:
            now_s = None if self._live_s is None else self._live_s()
            time = _ended_at(data) if now_s is None else datetime.fromtimestamp(now_s, UTC)
            if len(self._held) == HELD_MAX:
                log.error("held events are too many, oldest lost")
            self._held.append(Draft(data, watch.source, time))
            self._unsaved.add(watch.spec.name)
            self.events += 1
            self.alerts += isinstance(data, AlertData)

    def _watch(self, file: SensorFile, spec: SensorSpec) -> SensorWatch:
        source = source_of(file.site, file.device, spec.name)
        now_s = None if self._live_s is None else self._live_s()
        grace_s = 0.0 if now_s is None else spec.stretch_s + LATE_S
        watch = SensorWatch(spec, source=source, began_s=now_s, grace_s=grace_s)
        memory = load(self._state, spec.name, memory_version(spec))
        if memory is not None and now_s is not None:
            watch.remember(memory, latest_s=now_s + FUTURE_S)
        elif memory is not None:
            watch.remember(memory)
        return watch


def _ended_at(data: EventData) -> datetime:
    if isinstance(data, AlertData):
        return data.at
    if isinstance(data, SensorData):
        return data.window_start + timedelta(seconds=data.window_s)
    raise TypeError(type(data).__name__)
