"""Take batches, store them, then tell broker and devices; and answer questions about sites."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Protocol, TypeVar

from shopfloor_contracts.acks import Ack
from shopfloor_ingest.domain.devices import DeviceState
from shopfloor_ingest.domain.kpis import Change, Page, Question
from shopfloor_ingest.domain.messages import Accepted, Message, Rejected, judge_all
from shopfloor_ingest.domain.periods import Period
from shopfloor_ingest.errors import StoreUnavailableError, UnknownSiteError

log = logging.getLogger(__name__)
T = TypeVar("T")

BACKOFF_S = (0.1, 5.0)
"""First and longest pause between two tries to write a batch."""

MAX_TRANSACTION_EVENTS = 2000
"""Of one commit, however many messages they came in (a message holds up to 500): so a transaction
stays below half a second, and what is judged at once below some ten megabytes."""

FORGET_BATCH, FORGET_PAUSE_S = 2000, 0.05
"""Raw events per step of the retention, and the pause in which writers have their turn."""


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """An ack and whom it is for."""

    site: str
    device: str
    ack: Ack


@dataclass(slots=True)
class Outcome:
    """What one committed batch came to."""

    stored: Counter[str] = field(default_factory=Counter)
    rejected: Counter[str] = field(default_factory=Counter)
    duplicates: int = 0
    dropped: int = 0
    acks: list[Acknowledgement] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class TrafficRow:
    """Crossings of one line in one bucket."""

    bucket_start: datetime
    camera: str
    line: str
    crossings_in: int
    crossings_out: int
    coverage_ratio: float


class Stop(Protocol):
    """The wish to end, as ``threading.Event`` has it."""

    def is_set(self) -> bool:
        """Return whether to end."""

    def wait(self, timeout: float) -> bool:
        """Sleep up to ``timeout`` seconds; return whether to end."""


class Inbox(Protocol):
    """Where messages come from."""

    def take(self) -> Sequence[Message]:
        """Return the next batch; empty when nothing came for a moment."""

    def settle(self) -> None:
        """Everything taken so far is safe: the broker may forget it."""


class EventSink(Protocol):
    """Where judged events go; all of a batch or nothing.

    What implements it keeps the promises of ``docs/ingest.md``: an event is stored once however
    often it comes, durably when ``write`` returns, and the outcome's acks say how far each stream
    is complete.
    """

    def prepare(self) -> None:
        """Create what is missing. Raises ``StoreUnavailableError``."""

    def write(self, batch: Sequence[Accepted | Rejected]) -> Outcome:
        """Commit one batch. Raises ``StoreUnavailableError``: nothing was written."""


class AckSender(Protocol):
    """The way back to a device."""

    def acknowledge(self, acknowledgement: Acknowledgement) -> None:
        """Send; a lost one is made up for by the next."""


class Meter(Protocol):
    """Counts for the operator."""

    def batch_stored(self, messages: int, outcome: Outcome, seconds: float) -> None:
        """Count a committed batch."""

    def write_failed(self) -> None:
        """Count a try that did not commit."""


class Ingest:
    """The one writer of a process."""

    def __init__(self, *, inbox: Inbox, sink: EventSink, acks: AckSender, meter: Meter) -> None:
        self._inbox, self._sink, self._acks, self._meter = inbox, sink, acks, meter
        self._complaint: str | None = "not yet opened"

    def complaint(self) -> str | None:
        """Return what the database said last, or None when the last write committed."""
        return self._complaint

    def run(self, stop: Stop) -> None:
        """Store batches until ``stop``; a batch that was taken is finished first."""
        self._persist(self._sink.prepare, stop)
        while not stop.is_set():
            batch = self._inbox.take()
            if batch:
                self._finish(batch, stop)

    def _finish(self, batch: Sequence[Message], stop: Stop) -> None:
        acknowledgements: list[Acknowledgement] = []
        for messages, judged in _portions(batch):
            started_s = time.perf_counter()
            outcome = self._persist(partial(self._sink.write, judged), stop)
            if outcome is None:
                return
            self._meter.batch_stored(messages, outcome, time.perf_counter() - started_s)
            acknowledgements += outcome.acks
        self._inbox.settle()
        for acknowledgement in acknowledgements:
            self._acks.acknowledge(acknowledgement)

    def _persist(self, attempt: Callable[[], T], stop: Stop) -> T | None:
        """Try until it commits; None when told to stop before (the broker keeps the batch)."""
        pause_s = BACKOFF_S[0]
        while True:
            try:
                result = attempt()
            except StoreUnavailableError as e:
                self._failing(str(e))
            else:
                self._well()
                return result
            if stop.wait(pause_s):
                return None
            pause_s = min(2 * pause_s, BACKOFF_S[1])

    def _failing(self, complaint: str) -> None:
        self._meter.write_failed()
        if complaint != self._complaint:
            log.error("database refuses writes, retrying", extra={"complaint": complaint})
        self._complaint = complaint

    def _well(self) -> None:
        if self._complaint is not None:
            log.info("database takes writes")
        self._complaint = None


def _portions(batch: Sequence[Message]) -> Iterator[tuple[int, list[Accepted | Rejected]]]:
    """Judge messages as they are wanted; yield how many, and at most as many events as fit."""
    messages, judged = 0, list[Accepted | Rejected]()
    for message in batch:
        found = judge_all(message)
        if judged and len(judged) + len(found) > MAX_TRANSACTION_EVENTS:
            yield messages, judged
            messages, judged = 0, []
        messages += 1
        judged += found
    yield messages, judged


class History(Protocol):
    """Raw events and sums over time. Each raises ``StoreUnavailableError``."""

    def forget_events(self, before: int, limit: int) -> int:
        """Delete up to ``limit`` raw events older than ``before`` (epoch seconds)."""

    def forget_minutes(self, before: int) -> int:
        """Delete some sums per minute older than ``before``; return how many."""


@dataclass(frozen=True, slots=True)
class Retention:
    """How long raw events and sums per minute are kept; None is for ever."""

    events: timedelta | None
    minutes: timedelta | None

    def enforce(self, history: History, now: datetime, stop: Stop) -> int:
        """Delete what is too old, a little at a time, so that no writer waits for long.

        Returns:
            The number of raw events and of sums that were deleted.
        """
        gone = 0
        if self.events is not None:
            before = int((now - self.events).timestamp())
            gone += _until_none(lambda: history.forget_events(before, FORGET_BATCH), stop)
        if self.minutes is not None:
            oldest = int((now - self.minutes).timestamp())
            gone += _until_none(lambda: history.forget_minutes(oldest), stop)
        return gone


def _until_none(step: Callable[[], int], stop: Stop) -> int:
    gone = 0
    while not stop.wait(FORGET_PAUSE_S):
        deleted = step()
        if deleted == 0:
            break
        gone += deleted
    return gone


class Reader(Protocol):
    """Questions to the store. Each raises ``StoreUnavailableError``."""

    def knows(self, site: str) -> bool:
        """Return whether a device of ``site`` was ever heard."""

    def traffic(self, site: str, period: Period) -> list[TrafficRow]:
        """Return crossings per bucket, camera and line, oldest first."""

    def devices(self, site: str) -> dict[str, DeviceState]:
        """Return the state of each device, by name."""


class KpiReader(Protocol):
    """Questions to the roll-ups. Each raises ``StoreUnavailableError``."""

    def page(self, question: Question) -> Page:
        """Return one page of rows, ordered by bucket, then by name."""

    def changes(self, question: Question) -> list[Change]:
        """Return each thing now and a week before, over what both weeks have."""

    def heat(self, question: Question) -> tuple[list[int], Page]:
        """Return tenths of person-seconds per cell, and what is behind them."""


def traffic_report(reader: Reader, site: str, period: Period) -> list[TrafficRow]:
    """Return a site's crossings.

    Raises:
        UnknownSiteError: never heard.
    """
    _refuse_unknown(reader, site)
    return reader.traffic(site, period)


def device_report(reader: Reader, site: str) -> dict[str, DeviceState]:
    """Return a site's devices.

    Raises:
        UnknownSiteError: never heard.
    """
    _refuse_unknown(reader, site)
    return reader.devices(site)


def kpi_report(reader: Reader, kpis: KpiReader, question: Question) -> Page:
    """Return one page of a site's figures. Raises ``UnknownSiteError``: never heard."""
    _refuse_unknown(reader, question.site)
    return kpis.page(question)


def week_over_week(reader: Reader, kpis: KpiReader, question: Question) -> list[Change]:
    """Return a site's figures beside those of a week before. Raises ``UnknownSiteError``."""
    _refuse_unknown(reader, question.site)
    return kpis.changes(question)


def heat_report(reader: Reader, kpis: KpiReader, question: Question) -> tuple[list[int], Page]:
    """Return where people stood in a site's cameras. Raises ``UnknownSiteError``."""
    _refuse_unknown(reader, question.site)
    return kpis.heat(question)


def _refuse_unknown(reader: Reader, site: str) -> None:
    if not reader.knows(site):
        raise UnknownSiteError(site)
