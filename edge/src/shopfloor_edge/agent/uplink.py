"""MQTT 5 to the broker: connect, say, hear acknowledgements. Knows nothing of the outbox."""

from __future__ import annotations

import logging
import queue
import socket
import ssl
import threading
import time
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.reasoncodes import ReasonCode
from pydantic import ValidationError

from shopfloor_contracts.acks import Ack
from shopfloor_contracts.site import UplinkSpec
from shopfloor_edge.errors import BrokerRefusedError, OperatorError
from shopfloor_edge.identity.client import tls_context
from shopfloor_edge.identity.device import Identity
from shopfloor_edge.identity.secret_files import read_secret

log = logging.getLogger(__name__)

# MQTT 5 §3.2.2.2: the broker is there and says no to this client.
_REFUSALS = {
    "Bad user name or password",
    "Not authorized",
    "Client identifier not valid",
    "Banned",
    "Bad authentication method",
}
_QUICK_CUT_S, _TWIN_CUTS, _TWIN_PAUSE_S = 5.0, 4, 60
_MAX_ACKS = 1000


class Uplink:
    """One connection, kept alive for ever by paho's own backoff (0.5 to 10 s).

    Raises:
        OperatorError: the password or a certificate cannot be read.
    """

    def __init__(
        self,
        spec: UplinkSpec,
        *,
        client_id: str,
        ack_topic: str,
        identity: Identity | None = None,
    ) -> None:
        self._spec, self._ack_topic, self._identity = spec, ack_topic, identity
        self._tls: ssl.SSLContext | None = None
        self.connected = threading.Event()
        self.refused: BrokerRefusedError | None = None
        self.sent_bytes = 0
        self.acks: queue.Queue[Ack] = queue.Queue(_MAX_ACKS)
        self.woken = threading.Event()
        """Set when anything happened that the agent should look at."""
        self._was_connected = False
        self._told = ""
        self._client_id = client_id
        self._connected_at_s, self._quick_cuts = 0.0, 0
        self._client = mqtt.Client(
            CallbackAPIVersion.VERSION2, client_id=client_id, protocol=mqtt.MQTTv5
        )
        self._client.max_queued_messages_set(0)
        self._client.reconnect_delay_set(1, 10)
        self._authenticate()
        self._client.on_socket_open = _send_at_once
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = self._on_subscribe
        self._client.on_connect_fail = self._on_connect_fail
        self._client.on_disconnect = self._on_disconnect
        self._client.on_message = self._on_message

    def last_will(self, topic: str, payload: bytes) -> None:
        """Leave with the broker what it says when this device vanishes."""
        self._client.will_set(topic, payload, qos=1, retain=True)

    def open(self) -> None:
        """Begin to connect; never blocks, never gives up."""
        self._client.connect_async(
            self._spec.host, self._spec.port, keepalive=self._spec.keepalive_s, clean_start=True
        )
        self._client.loop_start()

    def say(self, topic: str, payload: bytes, *, retain: bool = False, qos: int = 1) -> bool:
        """Hand one message to the network thread; False when not connected."""
        if not self.connected.is_set():
            return False
        info = self._client.publish(topic, payload, qos=qos, retain=retain)
        if info.rc != mqtt.MQTT_ERR_SUCCESS:
            return False
        self.sent_bytes += _publish_bytes(topic, payload, qos)
        return True

    def close(self, topic: str, farewell: bytes) -> None:
        """Say a last word and disconnect."""
        if self.connected.is_set():
            info = self._client.publish(topic, farewell, qos=1, retain=True)
            try:
                info.wait_for_publish(2.0)
            except (RuntimeError, ValueError) as e:
                log.info("farewell not delivered", extra={"reason": str(e)})
        self._client.disconnect()
        self._client.loop_stop()

    def show_certificate(self) -> None:
        """Show the identity's present certificate at connections to come.

        Raises:
            IdentityError: it cannot be read.
        """
        if self._identity is not None and self._tls is not None and self._spec.cert_file is None:
            self._identity.show(self._tls)

    def _authenticate(self) -> None:
        spec = self._spec
        try:
            if spec.username is not None:
                password = (
                    read_secret(Path(spec.password_file)).decode().strip()
                    if spec.password_file
                    else None
                )
                self._client.username_pw_set(spec.username, password)
            if spec.ca_file is not None:
                self._tls = tls_context(spec.ca_file)
                if spec.cert_file is not None:
                    self._tls.load_cert_chain(spec.cert_file, spec.key_file)
                self.show_certificate()
                self._client.tls_set_context(self._tls)
        except (OSError, ssl.SSLError, ValueError) as e:
            raise OperatorError(f"uplink: {e}") from e

    def _on_connect(
        self, client: mqtt.Client, _data: Any, _flags: Any, reason: ReasonCode, _props: Any
    ) -> None:
        if reason.is_failure:
            if str(reason) in _REFUSALS and not self._was_connected:
                self.refused = BrokerRefusedError(
                    f"broker {self._spec.host}:{self._spec.port} refuses this device: {reason}"
                )
            self._tell(f"broker refuses: {reason}")
            self.woken.set()
            return
        self._was_connected, self._told = True, ""
        client.subscribe(self._ack_topic, qos=1)

    def _on_subscribe(
        self, _client: mqtt.Client, _data: Any, _id: int, _reasons: Any, _props: Any
    ) -> None:
        # Not before: right after on_connect paho sends again all that is not acknowledged, and
        # would send twice what another thread has published in between.
        log.info("uplink connected")
        self._connected_at_s = time.monotonic()
        self.connected.set()
        self.woken.set()

    def _on_connect_fail(self, _client: mqtt.Client, _data: Any) -> None:
        self._tell("broker does not answer")

    def _on_disconnect(
        self, _client: mqtt.Client, _data: Any, _flags: Any, reason: ReasonCode, _props: Any
    ) -> None:
        if self.connected.is_set():
            log.warning("uplink lost", extra={"reason": str(reason)})
            self._watch_for_a_twin(time.monotonic())
        self.connected.clear()
        self.woken.set()

    def _on_message(self, _client: mqtt.Client, _data: Any, message: mqtt.MQTTMessage) -> None:
        try:
            self.acks.put_nowait(Ack.model_validate_json(message.payload))
        except ValidationError:
            log.warning("acknowledgement is not understood", extra={"topic": message.topic})
        except queue.Full:
            # The watermark only grows: a later acknowledgement says all that this one says.
            log.debug("acknowledgement skipped")
        self.woken.set()

    def _watch_for_a_twin(self, now_s: float) -> None:
        """Notice a second device with this name: each connection cuts off the other's.

        A broker may say so (MQTT 5 §3.14.2.1, 0x8E); mosquitto 2.0.11 just closes the socket.
        """
        quick = now_s - self._connected_at_s < _QUICK_CUT_S
        self._quick_cuts = self._quick_cuts + 1 if quick else 0
        if self._quick_cuts == _TWIN_CUTS:
            log.error(
                "the broker cuts this connection again and again: "
                "does another device have the same site and name?",
                extra={"device": self._client_id},
            )
        # Whoever notices first leaves the other in peace for a while.
        pause_s = _TWIN_PAUSE_S if self._quick_cuts >= _TWIN_CUTS else 1
        self._client.reconnect_delay_set(pause_s, max(pause_s, 10))

    def _tell(self, what: str) -> None:
        if what != self._told:
            broker = f"{self._spec.host}:{self._spec.port}"
            log.warning("uplink down", extra={"broker": broker, "reason": what})
        self._told = what


def _send_at_once(_client: mqtt.Client, _data: Any, sock: Any) -> None:
    # Nagle and delayed acknowledgements together hold a small packet back for 40 ms.
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _publish_bytes(topic: str, payload: bytes, qos: int) -> int:
    """Return the size of a PUBLISH packet (MQTT 5 §3.3) without properties."""
    body = 2 + len(topic.encode()) + (2 if qos else 0) + 1 + len(payload)
    length = 1 if body < 128 else 2 if body < 16_384 else 3
    return 1 + length + body
