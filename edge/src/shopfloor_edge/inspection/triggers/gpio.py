"""Triggers from a light barrier: each rising edge of a GPIO line is a part."""

from __future__ import annotations

import datetime as dt
import threading
import time
from typing import Any

from shopfloor_contracts.recipes import GpioTrigger
from shopfloor_edge.errors import OutputError
from shopfloor_edge.inspection.arrivals import Trigger, TriggerQueue
from shopfloor_edge.inspection.extras import import_extra

DEBOUNCE = dt.timedelta(milliseconds=2)


class GpioTriggers:
    """Puts a trigger into the queue for each edge.

    Raises:
        OutputError: gpiod is not installed, or the line is absent or taken.
    """

    def __init__(self, spec: GpioTrigger, queue: TriggerQueue) -> None:
        gpiod: Any = import_extra("gpiod", extra="gpio")
        line: Any = import_extra("gpiod.line", extra="gpio")
        self._queue, self._stop = queue, threading.Event()
        settings = gpiod.LineSettings(edge_detection=line.Edge.RISING, debounce_period=DEBOUNCE)
        try:
            self._request = gpiod.request_lines(
                spec.chip, consumer="shopfloor trigger", config={spec.offset: settings}
            )
        except (OSError, ValueError) as e:
            raise OutputError(f"{spec.chip} line {spec.offset}: {e}") from e
        self._thread = threading.Thread(target=self._watch, name="gpio-trigger", daemon=True)

    def start(self) -> None:
        """Watch in the background."""
        self._thread.start()

    def close(self) -> None:
        """Let go of the line."""
        self._stop.set()
        self._thread.join(1.0)
        self._request.release()

    def _watch(self) -> None:
        while not self._stop.is_set():
            if self._request.wait_edge_events(dt.timedelta(milliseconds=200)):
                for _ in self._request.read_edge_events():
                    self._queue.put(Trigger(time.monotonic()))
