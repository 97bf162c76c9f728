"""Home Assistant over MQTT discovery: a binary sensor per rule and per camera, no pixel, no count.

Discovery and states are retained, so that Home Assistant knows them after its restart too; a last
will makes every entity unavailable when this process ends. Format: Home Assistant's documentation
of its MQTT integration, "MQTT discovery".
"""

from __future__ import annotations

import json
import logging
import ssl
import threading
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.reasoncodes import ReasonCode

from shopfloor_contracts.notify import HomeAssistantSpec
from shopfloor_contracts.rules import Metric
from shopfloor_contracts.site import SiteFile
from shopfloor_edge.errors import OperatorError
from shopfloor_edge.journal.alerts import AlertRow

log = logging.getLogger(__name__)

ON, OFF = "ON", "OFF"
KEEPALIVE_S = 20


def states_of(site: SiteFile, alerts: Iterable[AlertRow]) -> dict[str, list[AlertRow]]:
    """Return what each entity rests on: alerts whose condition holds, by entity.

    Entities are the site's rules and ``camera-NAME``.
    """
    entities: dict[str, list[AlertRow]] = {
        **{rule.name: [] for rule in site.rules},
        **{f"camera-{camera.name}": [] for camera in site.cameras},
    }
    for alert in alerts:
        names = {alert.rule}
        if alert.metric == Metric.CAMERA:
            names.add(f"camera-{alert.camera}")
        for name in names & entities.keys():
            entities[name].append(alert)
    return entities


class HomeAssistant:
    """One connection, kept up by paho's own backoff; publishes only what has changed.

    Raises:
        OperatorError: the password or the authority cannot be read.
    """

    def __init__(self, site: SiteFile, spec: HomeAssistantSpec) -> None:
        self._site, self._spec = site, spec
        self._id = f"shopfloor_{site.site}_{site.device}".replace("-", "_")
        self._base = f"shopfloor-home/{site.site}/{site.device}"
        self._published: dict[str, str] = {}
        self._lock = threading.Lock()
        self._client = mqtt.Client(
            CallbackAPIVersion.VERSION2, client_id=f"{self._id}_home", protocol=mqtt.MQTTv5
        )
        self._client.reconnect_delay_set(1, 60)
        self._client.will_set(f"{self._base}/status", "offline", qos=1, retain=True)
        self._client.on_connect = self._on_connect
        self._client.on_connect_fail = self._on_connect_fail
        self._authenticate()

    def open(self) -> None:
        """Begin to connect; never blocks, never gives up."""
        self._client.connect_async(self._spec.host, self._spec.port, KEEPALIVE_S)
        self._client.loop_start()

    def close(self) -> None:
        """Say that nothing is known from now on, and disconnect."""
        told = self._client.publish(f"{self._base}/status", "offline", qos=1, retain=True)
        if self._client.is_connected():
            told.wait_for_publish(2.0)
        self._client.disconnect()
        self._client.loop_stop()

    def show(self, entities: Mapping[str, Sequence[AlertRow]]) -> None:
        """Publish the entities whose state is another than before; nothing while not connected."""
        with self._lock:
            if not self._client.is_connected():
                return
            for name, alerts in entities.items():
                payload = json.dumps(_state(alerts))
                if self._published.get(name) != payload:
                    self._client.publish(f"{self._base}/{name}", payload, qos=1, retain=True)
                    self._published[name] = payload

    def discovery(self) -> dict[str, dict[str, Any]]:
        """Return the configuration of each entity, by topic."""
        names = states_of(self._site, ())
        return {
            f"{self._spec.prefix}/binary_sensor/{self._id}/{name}/config": self._config(name)
            for name in names
        }

    def _config(self, name: str) -> dict[str, Any]:
        return {
            "name": name,
            "unique_id": f"{self._id}_{name}",
            "device_class": "problem",
            "state_topic": f"{self._base}/{name}",
            "value_template": "{{ value_json.state }}",
            "json_attributes_topic": f"{self._base}/{name}",
            "availability_topic": f"{self._base}/status",
            "device": {
                "identifiers": [self._id],
                "name": f"Shopfloor {self._site.site} {self._site.device}",
                "manufacturer": "Shopfloor",
            },
            "origin": {"name": "Shopfloor"},
        }

    def _authenticate(self) -> None:
        spec = self._spec
        try:
            if spec.username is not None:
                file = spec.password_file
                secret = Path(file).read_text(encoding="utf-8").strip() if file else None
                self._client.username_pw_set(spec.username, secret)
            if spec.ca_file is not None:
                self._client.tls_set(ca_certs=spec.ca_file, tls_version=ssl.PROTOCOL_TLS_CLIENT)
        except (OSError, ssl.SSLError, ValueError) as e:
            raise OperatorError(f"[notify.home_assistant]: {e}") from e

    def _on_connect(
        self, client: mqtt.Client, _data: Any, _flags: Any, reason: ReasonCode, _props: Any
    ) -> None:
        if reason.is_failure:
            log.warning("home assistant's broker refuses", extra={"reason": str(reason)})
            return
        with self._lock:
            # A broker that lost its memory has none of what it was told.
            self._published.clear()
            for topic, config in self.discovery().items():
                client.publish(topic, json.dumps(config), qos=1, retain=True)
            client.publish(f"{self._base}/status", "online", qos=1, retain=True)
        log.info("home assistant's broker connected", extra={"host": self._spec.host})

    def _on_connect_fail(self, _client: mqtt.Client, _data: Any) -> None:
        log.debug("home assistant's broker does not answer", extra={"host": self._spec.host})


def _state(alerts: Sequence[AlertRow]) -> dict[str, Any]:
    if not alerts:
        return {"state": OFF}
    first = min(alerts, key=lambda alert: alert.raised_at)
    return {
        "state": ON,
        "alerts": len(alerts),
        "severity": str(first.severity),
        "camera": first.camera,
        "zone": first.about,
        "since": datetime.fromtimestamp(first.raised_at, UTC).isoformat(timespec="seconds"),
    }
