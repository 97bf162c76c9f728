"""Triggers as MQTT messages of the line's control."""

from __future__ import annotations

import logging
import time
from typing import Annotated, Any

from pydantic import Field, ValidationError

from shopfloor_contracts.base import Slug, Wire
from shopfloor_contracts.recipes import MqttTrigger
from shopfloor_edge.inspection.arrivals import Trigger, TriggerQueue
from shopfloor_edge.inspection.broker import KEEPALIVE_S, leave, new_client

log = logging.getLogger(__name__)

MAX_BYTES = 2000


class TriggerMessage(Wire):
    """What a message may say. A picture is named by its file, never by a path."""

    number: Annotated[int, Field(ge=0, le=10**15)] | None = None
    run: Annotated[str, Field(max_length=64)] = ""
    product: Slug | None = None
    picture: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-][A-Za-z0-9_.-]{0,200}$")] | None = None


def parse_trigger(payload: bytes, at_s: float) -> Trigger | None:
    """Return the trigger, or None for a message that is none; an empty one is a bare part."""
    if len(payload) > MAX_BYTES:
        return None
    try:
        said = TriggerMessage.model_validate_json(payload or b"{}")
    except ValidationError:
        return None
    return Trigger(at_s, said.number, said.run, said.product, said.picture)


class MqttTriggers:
    """Puts a trigger into the queue for each message.

    Raises:
        OutputError: the password or the CA cannot be read.
    """

    def __init__(self, spec: MqttTrigger, queue: TriggerQueue, name: str) -> None:
        self._spec, self._queue = spec, queue
        self.refused = 0
        """Messages that were no trigger."""
        self._client = new_client(spec.broker, f"{name}-trigger")
        self._client.on_connect = self._on_connect
        self._client.on_message = self._on_message

    def start(self) -> None:
        """Connect in the background, for ever."""
        broker = self._spec.broker
        self._client.connect_async(broker.host, broker.port, keepalive=KEEPALIVE_S)
        self._client.loop_start()

    def close(self) -> None:
        """Disconnect."""
        leave(self._client)

    def _on_connect(self, client: Any, _data: Any, _flags: Any, reason: Any, _props: Any) -> None:
        if reason.is_failure:
            log.error("broker refuses the trigger", extra={"reason": str(reason)})
            return
        client.subscribe(self._spec.topic, qos=1)
        log.info("trigger is heard", extra={"topic": self._spec.topic})

    def _on_message(self, _client: Any, _data: Any, message: Any) -> None:
        trigger = parse_trigger(message.payload, time.monotonic())
        if trigger is None:
            self.refused += 1
            # A part is there, whatever was said about it: it is counted, and looked at.
            trigger = Trigger(time.monotonic())
            if self.refused == 1:
                log.warning("trigger is not understood", extra={"topic": message.topic})
        self._queue.put(trigger)
