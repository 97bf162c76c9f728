"""The line around the station: parts at a fixed pace, a control that obeys, and its memory."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from shopfloor_contracts.recipes import ALL, Recipe
from shopfloor_demo.parts_supply import Part, Supply
from shopfloor_edge.inspection.broker import leave
from shopfloor_edge.station.watching import build_guard

PARTS_PER_MINUTE = 200
MAX_PARTS = 400
MISSED_REASONS = ("late", "no-picture")
HEARD_S = 2.0
"""Verdicts that come later than this are not waited for."""


@dataclass(slots=True)
class Seen:
    """One part, and what became of it."""

    part: Part
    sent_at_s: float
    verdict: str = ""
    """Empty until the station has said it."""
    latency_ms: float = 0.0
    score: int = 0
    """Of the chart, after this part."""


@dataclass(slots=True)
class Line:
    """Everything that happened; written by the network's thread, read by the view."""

    parts: list[Seen] = field(default_factory=list)
    state: str = "waiting"
    reason: str = ""
    stopped_at: int | None = None
    """Part after which the station stopped the line."""
    alerted_at: int | None = None
    station_part: dict[int, int] = field(default_factory=dict)
    """The station's number of a part, by the line's."""

    def verdicts(self) -> dict[str, int]:
        """Return parts by verdict, without those that wait for theirs."""
        counts = {"pass": 0, "fail": 0, "review": 0, "missed": 0}
        for seen in self.parts:
            if seen.verdict:
                counts[seen.verdict] += 1
        return counts


class Conveyor:
    """Moves parts past the station until it says stop."""

    def __init__(self, recipe: Recipe, pictures: Path, broker: tuple[str, int, Path]) -> None:
        self._pictures, self._topic = pictures, "line/aoi"
        self._lock = threading.Condition()
        self.line = Line()
        self._guard = build_guard(recipe.watch)
        self._waiting: dict[int, Seen] = {}
        host, port, password = broker
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, "plc", protocol=mqtt.MQTTv5)
        self._client.username_pw_set("plc", password.read_text().strip())
        self._client.on_message = self._on_message
        self._client.on_connect = self._on_connect
        self._client.connect(host, port)
        self._client.loop_start()

    def wait_running(self, timeout_s: float) -> bool:
        """Return whether the station has let the line run in time."""
        with self._lock:
            return self._lock.wait_for(lambda: self.line.state == "running", timeout_s)

    def run(self, supply: Supply, show: Callable[[], None]) -> None:
        """Move parts at ``PARTS_PER_MINUTE`` until the line is stopped; then wait for verdicts."""
        pace_s, due_s = 60 / PARTS_PER_MINUTE, time.monotonic()
        while self.line.stopped_at is None and len(self.line.parts) < MAX_PARTS:
            self._send(supply.next())
            due_s += pace_s
            show()
            while (left_s := due_s - time.monotonic()) > 0:
                with self._lock:
                    self._lock.wait(left_s)
        with self._lock:
            self._lock.wait_for(lambda: not self._waiting, HEARD_S)

    def close(self) -> None:
        """Disconnect."""
        leave(self._client)

    def _send(self, part: Part) -> None:
        name = f"part-{part.number:05d}.png"
        _, content = cv2.imencode(".png", part.picture, [cv2.IMWRITE_PNG_COMPRESSION, 1])
        (self._pictures / name).write_bytes(content.tobytes())
        trigger = {
            "number": part.number, "run": "demo", "product": part.product, "picture": name,
        }  # fmt: skip
        seen = Seen(part, time.monotonic())
        with self._lock:
            self.line.parts.append(seen)
            self._waiting[part.number] = seen
        self._client.publish(f"{self._topic}/trigger", json.dumps(trigger), qos=1)

    def _on_connect(self, client: Any, _data: Any, _flags: Any, _reason: Any, _props: Any) -> None:
        client.subscribe(f"{self._topic}/#", qos=1)

    def _on_message(self, _client: Any, _data: Any, message: Any) -> None:
        leaf = message.topic.rsplit("/", 1)[-1]
        if leaf in ("line", "verdict"):
            said = json.loads(message.payload)
            with self._lock:
                (self._hear_line if leaf == "line" else self._hear_verdict)(said)
                self._lock.notify_all()

    def _hear_line(self, said: dict[str, Any]) -> None:
        line, number = self.line, len(self.line.parts)
        line.state, line.reason = said["state"], said["reason"]
        if line.state == "alerted" and line.alerted_at is None:
            line.alerted_at = number
        if line.state == "stopped" and line.stopped_at is None:
            line.stopped_at = number

    def _hear_verdict(self, said: dict[str, Any]) -> None:
        seen = self._waiting.pop(said.get("number", -1), None)
        if seen is None:
            return
        seen.latency_ms = 1000 * (time.monotonic() - seen.sent_at_s)
        seen.verdict = "missed" if said["reason"] in MISSED_REASONS else said["verdict"]
        self.line.station_part[seen.part.number] = said["part"]
        if seen.verdict in ("pass", "fail"):
            self._guard.update((), defective=seen.verdict == "fail")
        seen.score = getattr(self._guard.charts[ALL].stop, "score", 0)
        (self._pictures / f"part-{seen.part.number:05d}.png").unlink(missing_ok=True)
