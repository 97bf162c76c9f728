"""A connection to the line's MQTT broker, as the recipe describes it."""

from __future__ import annotations

import ssl
import threading
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from shopfloor_contracts.recipes import BrokerSpec
from shopfloor_edge.errors import OutputError

LEAVE_S = 1.0
KEEPALIVE_S = 5
"""A broker that is cut off from the station says so after one and a half of it."""


def new_client(spec: BrokerSpec, client_id: str) -> mqtt.Client:
    """Return a client that knows its password and certificates, and is not connected.

    Raises:
        OutputError: the password or the CA cannot be read.
    """
    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=client_id, protocol=mqtt.MQTTv5)
    try:
        if spec.username is not None:
            secret = Path(spec.password_file).read_text().strip() if spec.password_file else None
            client.username_pw_set(spec.username, secret)
        if spec.ca_file is not None:
            client.tls_set(ca_certs=spec.ca_file, tls_version=ssl.PROTOCOL_TLS_CLIENT)
    except (OSError, ssl.SSLError, ValueError) as e:
        raise OutputError(f"broker {spec.host}:{spec.port}: {e}") from e
    client.reconnect_delay_set(1, 5)
    return client


def leave(client: mqtt.Client) -> None:
    """Disconnect, and end the client's thread.

    paho's thread closes the socket when it has seen the end of the connection; one that is told to
    stop before that leaves it open.
    """
    gone = threading.Event()

    def note(*_: Any) -> None:
        gone.set()

    client.on_disconnect = note
    if client.is_connected():
        client.disconnect()
        gone.wait(LEAVE_S)
    else:
        client.disconnect()
    client.loop_stop()
