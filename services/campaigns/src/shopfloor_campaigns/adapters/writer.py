"""One thread that writes: what comes at the same time shares a transaction and one fsync.

The queue is bounded: when it is full a request is refused with 503, and its device comes again.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from shopfloor_campaigns.adapters.memory import Memory
from shopfloor_campaigns.errors import CampaignsError, StoreUnavailableError
from shopfloor_kit.database import cause

log = logging.getLogger(__name__)
T = TypeVar("T")

BATCH, QUEUE_SIZE = 256, 20_000
IDLE_S = 0.25
"""How often time-bound work is looked at when nothing comes."""


class Chores(Protocol):
    """What is done after a batch, and when nothing comes."""

    def do(self) -> None:
        """Decide waves, end what is late."""


@dataclass(frozen=True, slots=True)
class _Job:
    work: Callable[[Connection], Any]
    answer: Future[Any]


class Writer:
    """``submit`` from any thread; a ``CampaignsError`` must be raised before anything is written.

    So one refused job leaves the others of its batch alone.
    """

    def __init__(self, engine: Engine, memory: Memory) -> None:
        self._engine, self._memory = engine, memory
        self._queue: queue.Queue[_Job | None] = queue.Queue(QUEUE_SIZE)
        self._complaint: str | None = None
        self._thread: threading.Thread | None = None

    def start(self, chores: Chores) -> None:
        """Begin to work."""
        self._thread = threading.Thread(target=self._run, args=(chores,), name="writer")
        self._thread.start()

    def stop(self) -> None:
        """Finish what is queued, then end."""
        self._queue.put(None)
        if self._thread is not None:
            self._thread.join()

    def complaint(self) -> str | None:
        """Return why nothing can be written, or None."""
        return self._complaint

    def submit(self, work: Callable[[Connection], T]) -> Future[T]:
        """Queue work; the future has its result once it is committed.

        Raises:
            StoreUnavailableError: too much is queued.
        """
        answer: Future[T] = Future()
        try:
            self._queue.put_nowait(_Job(work, answer))
        except queue.Full:
            raise StoreUnavailableError(f"{QUEUE_SIZE} writes wait already") from None
        return answer

    def _run(self, chores: Chores) -> None:
        going = True
        while going:
            going, batch = self._take()
            if batch:
                self._write(batch)
            try:
                chores.do()
            except SQLAlchemyError as e:
                self._complain(cause(e))
            except Exception:
                log.exception("chores failed, tried again")

    def _take(self) -> tuple[bool, list[_Job]]:
        batch: list[_Job] = []
        try:
            while len(batch) < BATCH:
                job = self._queue.get(block=not batch, timeout=IDLE_S)
                if job is None:
                    return False, batch
                batch.append(job)
        except queue.Empty:
            pass
        return True, batch

    def _write(self, batch: list[_Job]) -> None:
        results: list[tuple[_Job, Any, BaseException | None]] = []
        try:
            with self._memory.writing(self._engine) as connection:
                results.extend(_do(job, connection) for job in batch)
        except SQLAlchemyError as e:
            self._complain(cause(e))
            self._fall_back(batch, StoreUnavailableError(cause(e)))
            return
        except Exception as e:
            log.exception("a write failed")
            self._fall_back(batch, e)
            return
        self._complaint = None
        for job, result, error in results:
            if error is None:
                job.answer.set_result(result)
            else:
                job.answer.set_exception(error)

    def _fall_back(self, batch: list[_Job], error: Exception) -> None:
        """Give the innocent of a batch a transaction of their own."""
        if len(batch) == 1:
            batch[0].answer.set_exception(error)
            return
        for job in batch:
            self._write([job])

    def _complain(self, complaint: str) -> None:
        if complaint != self._complaint:
            log.warning("database does not write", extra={"complaint": complaint})
        self._complaint = complaint


def _do(job: _Job, connection: Connection) -> tuple[_Job, Any, BaseException | None]:
    try:
        return job, job.work(connection), None
    except CampaignsError as e:
        return job, None, e
