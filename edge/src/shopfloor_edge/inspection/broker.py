"""A connection to the line's MQTT broker, as the recipe describes it."""

from __future__ import annotations

import ssl
from pathlib import Path

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from shopfloor_contracts.recipes import BrokerSpec
from shopfloor_edge.errors import OutputError

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
