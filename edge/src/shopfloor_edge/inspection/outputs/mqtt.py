"""The line over MQTT 5: a retained permission with a last will, verdicts, a heartbeat."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from typing import Any

from shopfloor_contracts.recipes import MqttOutput
from shopfloor_edge.inspection.broker import KEEPALIVE_S, leave, new_client
from shopfloor_edge.inspection.line import LineSignal, Ruling

CLOSE_S = 0.5


def open_output(spec: MqttOutput, *, lost: LineSignal, name: str) -> MqttLine:
    """Connect in the background; raises ``OutputError`` when a password cannot be read."""
    return MqttLine(spec, lost=lost, name=name)


class MqttLine:
    """See ``LineOutput``. The broker itself says ``lost`` when this process vanishes."""

    def __init__(self, spec: MqttOutput, *, lost: LineSignal, name: str) -> None:
        self._prefix = spec.prefix
        self._signal = lost
        self._client = new_client(spec.broker, f"{name}-keeper-{os.getpid()}")
        self._client.will_set(self._topic("line"), _json(asdict(lost)), qos=1, retain=True)
        self._client.on_connect = self._on_connect
        self._client.connect_async(spec.broker.host, spec.broker.port, keepalive=KEEPALIVE_S)
        self._client.loop_start()

    def show(self, signal: LineSignal) -> None:
        """Set what the line may do; kept by the broker for who subscribes later."""
        self._signal = signal
        if self._client.is_connected():
            self._say("line", asdict(signal), retain=True)

    def rule(self, ruling: Ruling) -> None:
        """Say what becomes of a part; a verdict that cannot be sent now is not sent late."""
        if self._client.is_connected():
            self._say("verdict", asdict(ruling))

    def beat(self, count: int) -> None:
        """Say that the inspector lives."""
        if self._client.is_connected():
            self._client.publish(self._topic("beat"), str(count), qos=0)

    def close(self) -> None:
        """Wait for the last word to be sent, and disconnect."""
        if self._client.is_connected():
            info = self._client.publish(
                self._topic("line"), _json(asdict(self._signal)), qos=1, retain=True
            )
            info.wait_for_publish(CLOSE_S)
        leave(self._client)

    def _on_connect(self, client: Any, _data: Any, _flags: Any, reason: Any, _props: Any) -> None:
        # The last will of our connection before this one may stand there.
        if not reason.is_failure:
            client.publish(self._topic("line"), _json(asdict(self._signal)), qos=1, retain=True)

    def _say(self, leaf: str, fields: dict[str, Any], *, retain: bool = False) -> None:
        self._client.publish(self._topic(leaf), _json(fields), qos=1, retain=retain)

    def _topic(self, leaf: str) -> str:
        return f"{self._prefix}/{leaf}"


def _json(fields: dict[str, Any]) -> str:
    return json.dumps({key: value for key, value in fields.items() if value is not None})
