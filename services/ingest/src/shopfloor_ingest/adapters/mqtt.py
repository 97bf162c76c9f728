"""The broker: a bounded inbox that confirms after the commit, and the way back to devices.

Nothing is dropped here: the broker sends at most ``QUEUE_SIZE`` unconfirmed messages, and
should the queue be full all the same (a reconnect), the network thread waits.
"""

from __future__ import annotations

import logging
import queue
import socket
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from shopfloor_contracts.topics import ALL_EVENTS, ack_topic
from shopfloor_ingest.domain.messages import Message
from shopfloor_ingest.errors import BrokerRefusedError
from shopfloor_ingest.usecases import Acknowledgement

log = logging.getLogger(__name__)

SUBSCRIPTION = f"$share/ingest/{ALL_EVENTS}"
QUEUE_SIZE = 2000
"""Four batches: the network thread reads on while one is written."""
BATCH_SIZE = 500
BATCH_WAIT_S, QUIET_S = 0.2, 0.02
"""A batch is full after the first, and sooner once nothing came for the second: what a commit costs
is shared by many events under load, and an alert on a quiet line does not wait for company."""
IDLE_S = 0.2
"""How long an empty inbox is waited for before looking whether to stop."""
RECONNECT_S = (1, 30)
KEEPALIVE_S = 30


@dataclass(frozen=True, slots=True)
class BrokerAccount:
    """Where the broker is and who we are there."""

    host: str
    port: int
    client_id: str
    session_expiry_s: int
    username: str | None = None
    password: str | None = None
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None


@dataclass(frozen=True, slots=True)
class _Delivery:
    message: Message
    mid: int
    qos: int
    connection: int


class BrokerLink:
    """Implements the ``Inbox`` and ``AckSender`` ports; ``on_fatal`` hears of a first refusal."""

    def __init__(
        self, account: BrokerAccount, *, on_fatal: Callable[[BrokerRefusedError], None]
    ) -> None:
        self._account, self._on_fatal = account, on_fatal
        self._queue: queue.Queue[_Delivery] = queue.Queue(QUEUE_SIZE)
        self._taken: list[_Delivery] = []
        self._stopping = threading.Event()
        self._connection = 0
        self._ever_subscribed = False
        self._complaint: str | None = "not yet connected"
        self._client = self._make_client()

    def start(self) -> None:
        """Connect, and again whenever the connection is lost, until ``stop``."""
        account, properties = self._account, Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.SessionExpiryInterval = account.session_expiry_s
        properties.ReceiveMaximum = QUEUE_SIZE
        self._client.connect_async(
            account.host, account.port, KEEPALIVE_S, clean_start=False, properties=properties
        )
        self._client.loop_start()

    def stop(self) -> None:
        """Disconnect; what was not settled stays with the broker."""
        self._stopping.set()
        self._client.disconnect()
        self._client.loop_stop()

    def complaint(self) -> str | None:
        """Return why nothing can arrive, or None while subscribed."""
        return self._complaint

    def depth(self) -> int:
        """Return how many messages wait."""
        return self._queue.qsize()

    def take(self) -> Sequence[Message]:
        """Return what came until a pause or ``BATCH_WAIT_S``, at most ``BATCH_SIZE`` messages."""
        try:
            taken = [self._queue.get(timeout=IDLE_S)]
        except queue.Empty:
            return []
        deadline_s = time.monotonic() + BATCH_WAIT_S
        while len(taken) < BATCH_SIZE:
            left_s = deadline_s - time.monotonic()
            try:
                taken.append(self._queue.get(timeout=max(0.0, min(QUIET_S, left_s))))
            except queue.Empty:
                break
        self._taken += taken
        return [delivery.message for delivery in taken]

    def settle(self) -> None:
        """Confirm to the broker what was taken."""
        for delivery in self._taken:
            # MQTT 5 §4.4: packet ids end with their connection; the broker resends the message.
            # A heartbeat comes with QoS 0 and no packet id: there is nothing to confirm.
            if delivery.connection == self._connection and delivery.qos == 1:
                self._client.ack(delivery.mid, delivery.qos)
        self._taken.clear()

    def acknowledge(self, acknowledgement: Acknowledgement) -> None:
        """Tell a device how far its outbox is stored."""
        topic = ack_topic(acknowledgement.site, acknowledgement.device)
        self._client.publish(topic, acknowledgement.ack.model_dump_json(), qos=1)

    def _make_client(self) -> mqtt.Client:
        account = self._account
        client = mqtt.Client(
            CallbackAPIVersion.VERSION2,
            client_id=account.client_id,
            protocol=mqtt.MQTTv5,
            manual_ack=True,
        )
        if account.username is not None:
            client.username_pw_set(account.username, account.password)
        if account.ca_file is not None:
            client.tls_set(
                _text(account.ca_file), _text(account.cert_file), _text(account.key_file)
            )
        client.reconnect_delay_set(*RECONNECT_S)
        client.on_socket_open = _send_at_once
        client.on_connect = self._on_connect
        client.on_connect_fail = self._on_connect_fail
        client.on_disconnect = self._on_disconnect
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        return client

    def _on_connect(
        self, client: mqtt.Client, _data: Any, _flags: Any, reason: ReasonCode, _properties: Any
    ) -> None:
        if reason.is_failure:
            self._refused(f"broker refuses {self._name()}: {reason}")
            return
        self._connection += 1
        client.subscribe(SUBSCRIPTION, qos=1)

    def _on_subscribe(
        self, _client: Any, _data: Any, _mid: int, reasons: list[ReasonCode], _properties: Any
    ) -> None:
        if reasons[0].is_failure:
            self._refused(f"broker refuses {self._name()} to subscribe: {reasons[0]}")
            return
        self._ever_subscribed = True
        self._complaint = None
        log.info("subscribed", extra={"broker": self._address(), "topic": SUBSCRIPTION})

    def _refused(self, complaint: str) -> None:
        if not self._ever_subscribed:
            self._on_fatal(BrokerRefusedError(complaint))
        self._complain(complaint)

    def _on_connect_fail(self, _client: Any, _data: Any) -> None:
        # paho calls this while it handles the exception, and tells us nothing else about it.
        self._complain(f"broker {self._address()} is not reachable: {sys.exc_info()[1]}")

    def _on_disconnect(
        self, _client: Any, _data: Any, _flags: Any, reason: ReasonCode, _properties: Any
    ) -> None:
        if not self._stopping.is_set() and self._complaint is None:
            self._complain(f"connection to broker {self._address()} ended: {reason}")

    def _complain(self, complaint: str) -> None:
        if complaint != self._complaint:
            log.warning("broker is away, retrying", extra={"complaint": complaint})
        self._complaint = complaint

    def _on_message(self, _client: Any, _data: Any, received: mqtt.MQTTMessage) -> None:
        message = Message(received.topic, bytes(received.payload), datetime.now(UTC))
        delivery = _Delivery(message, received.mid, received.qos, self._connection)
        while not self._stopping.is_set():
            try:
                self._queue.put(delivery, timeout=IDLE_S)
            except queue.Full:
                continue
            return

    def _address(self) -> str:
        return f"{self._account.host}:{self._account.port}"

    def _name(self) -> str:
        user = self._account.username
        return f"client {self._account.client_id!r}" if user is None else f"user {user!r}"


def _send_at_once(_client: Any, _data: Any, connection: Any) -> None:
    # Two small packets in a row, a PUBACK and an acknowledgement, would else wait 40 ms for
    # the peer's delayed TCP ACK.
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)
