"""The plant's broker: messages of the sensors' topics, into one bounded queue."""

from __future__ import annotations

import logging
import queue
import ssl
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.reasoncodes import ReasonCode

from shopfloor_contracts.site import UplinkSpec
from shopfloor_edge.errors import OperatorError

log = logging.getLogger(__name__)

QUEUE_MAX = 2000
"""Messages; when it is full the newest is dropped and counted: its stretch is not whole then."""


class PlantBroker:
    """One connection, kept alive by paho's own backoff (1 to 10 s); only ever subscribes.

    Raises:
        OperatorError: the password or a certificate cannot be read.
    """

    def __init__(self, spec: UplinkSpec, topics: list[str], *, client_id: str) -> None:
        self._spec, self._topics = spec, topics
        self.messages: queue.Queue[tuple[str, bytes]] = queue.Queue(QUEUE_MAX)
        self.dropped = 0
        self._told = ""
        self._client = mqtt.Client(
            CallbackAPIVersion.VERSION2, client_id=client_id, protocol=mqtt.MQTTv5
        )
        self._client.reconnect_delay_set(1, 10)
        self._client.on_connect = self._on_connect
        self._client.on_connect_fail = self._on_connect_fail
        self._client.on_disconnect = self._on_disconnect
        self._client.on_message = self._on_message
        self._authenticate()

    def open(self) -> None:
        """Begin to connect; never blocks, never gives up."""
        self._client.connect_async(self._spec.host, self._spec.port, self._spec.keepalive_s)
        self._client.loop_start()

    def close(self) -> None:
        """Disconnect."""
        self._client.disconnect()
        self._client.loop_stop()

    def _authenticate(self) -> None:
        spec = self._spec
        try:
            if spec.username is not None:
                secret = (
                    Path(spec.password_file).read_text().strip() if spec.password_file else None
                )
                self._client.username_pw_set(spec.username, secret)
            if spec.ca_file is not None:
                self._client.tls_set(
                    ca_certs=spec.ca_file,
                    certfile=spec.cert_file,
                    keyfile=spec.key_file,
                    tls_version=ssl.PROTOCOL_TLS_CLIENT,
                )
        except (OSError, ssl.SSLError, ValueError) as e:
            raise OperatorError(f"broker: {e}") from e

    def _on_connect(
        self, client: mqtt.Client, _data: Any, _flags: Any, reason: ReasonCode, _props: Any
    ) -> None:
        if reason.is_failure:
            self._tell(f"broker refuses: {reason}")
            return
        self._told = ""
        log.info("plant broker connected", extra={"topics": len(self._topics)})
        client.subscribe([(topic, 1) for topic in self._topics])

    def _on_connect_fail(self, _client: mqtt.Client, _data: Any) -> None:
        self._tell("broker does not answer")

    def _on_disconnect(
        self, _client: mqtt.Client, _data: Any, _flags: Any, reason: ReasonCode, _props: Any
    ) -> None:
        self._tell(f"connection lost: {reason}")

    def _on_message(self, _client: mqtt.Client, _data: Any, message: mqtt.MQTTMessage) -> None:
        try:
            self.messages.put_nowait((message.topic, bytes(message.payload)))
        except queue.Full:
            self.dropped += 1

    def _tell(self, what: str) -> None:
        if what != self._told:
            broker = f"{self._spec.host}:{self._spec.port}"
            log.warning("plant broker away", extra={"broker": broker, "reason": what})
        self._told = what
