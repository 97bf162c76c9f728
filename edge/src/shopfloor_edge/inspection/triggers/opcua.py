"""Triggers from a PLC: a counter that goes up with each part."""

from __future__ import annotations

import logging
import threading
import time
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import Any

from shopfloor_contracts.recipes import OpcUaTrigger
from shopfloor_edge.errors import OutputError
from shopfloor_edge.inspection.arrivals import Trigger, TriggerQueue
from shopfloor_edge.inspection.extras import import_extra
from shopfloor_edge.inspection.opcua_security import secure_client

log = logging.getLogger(__name__)

PERIOD_MS = 10
RETRY_S = 1.0
WATCH_S = 0.5
TIMEOUT_S = 2.0


class OpcUaTriggers:
    """Puts a trigger into the queue when the counter changes; connects again when it must.

    The counter's value is the part's number: parts that went by between two values are missed.

    Raises:
        OutputError: asyncua is not installed.
    """

    def __init__(self, spec: OpcUaTrigger, queue: TriggerQueue, station: str = "") -> None:
        self._sync = import_extra("asyncua.sync", extra="opcua")
        ua = import_extra("asyncua.ua", extra="opcua")
        self._errors = (OSError, TimeoutError, FutureTimeoutError, ua.UaError, OutputError)
        self._spec, self._queue, self._station = spec, queue, station or "station"
        self._last: int | None = None
        self._run = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="opcua-trigger", daemon=True)

    def start(self) -> None:
        """Watch in the background."""
        self._thread.start()

    def close(self) -> None:
        """Stop watching."""
        self._stop.set()
        self._thread.join(5.0)

    def datachange_notification(self, _node: Any, value: Any, _data: Any) -> None:
        """Take a value of the counter; the first one only says where it stands."""
        if not isinstance(value, int) or value == self._last:
            return
        first, self._last, before = self._last is None, value, self._last or 0
        if value < before:
            # The PLC began again: its numbers mean other parts now.
            self._run += 1
        if not first:
            run = f"opcua-{self._run}" if self._run else "opcua"
            self._queue.put(Trigger(time.monotonic(), value, run))

    def _watch(self) -> None:
        told = ""
        while not self._stop.is_set():
            try:
                self._subscribe()
                told = ""
            except self._errors as e:
                if str(e) != told:
                    log.warning("trigger is not heard", extra={"reason": str(e)})
                told = str(e)
            self._stop.wait(RETRY_S)

    def _subscribe(self) -> None:
        client = self._sync.Client(self._spec.endpoint, timeout=TIMEOUT_S)
        try:
            secure_client(client, self._spec.security, name=self._station)
        except OutputError:
            client.tloop.stop()
            raise
        with client:
            node = client.get_node(self._spec.node)
            subscription = client.create_subscription(PERIOD_MS, self)
            subscription.subscribe_data_change(node)
            log.info("trigger is heard", extra={"node": self._spec.node})
            while not self._stop.wait(WATCH_S):
                client.check_connection()
