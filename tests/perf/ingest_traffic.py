"""What a fleet sends in its minutes, made before the clock runs: batches, or single events.

A device has sixteen cameras, each with one event a minute: eight count a line (traffic), eight a
zone (occupancy). With them goes the device's heartbeat. Batches have the form that devices send by
default; they are packed at a lower level of zstd, which the reader does not notice.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import zstandard

from shopfloor_contracts.batches import batch_topic, shipped_dictionaries, slim
from shopfloor_contracts.events import (
    CameraHealth,
    CameraStatus,
    EventData,
    HeartbeatData,
    Kind,
    LineCount,
    OccupancyData,
    TrafficData,
    ZoneOccupancy,
    build_event,
    event_id,
    source_of,
)
from shopfloor_contracts.topics import ROOT

CAMERAS = 16
DEVICES_PER_SITE = 3
SEED = 20261121
BASIS = {
    "window_s": 60.0,
    "coverage_ratio": 0.9983,
    "frames": 599,
    "model_digest": "9f3c" * 16,
    "zone_version": "5a1e" * 3,
    "backend": "onnxruntime",
    "precision": "int8",
    "degraded": False,
}
_SITE, _DEVICE, _CAMERA, _SEQ = "site-of-it", "device-of-it", "camera-of-it", 987_654_321
_STREAM = uuid.UUID("00000000-0000-4000-8000-000000000001")
_WINDOW = datetime(2001, 1, 1, tzinfo=UTC)
_SAID = datetime(2002, 2, 2, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Packet:
    """One MQTT message of a device, and how many events of its outbox are in it."""

    topic: str
    payload: bytes
    events: int


class Traffic:
    """A fleet's messages, minute by minute; the same for the same seed and start."""

    def __init__(self, *, devices: int, start: datetime, seed: int = SEED) -> None:
        self._draw, self._start, self._devices = random.Random(seed), start, devices
        self._streams = [self._uuid() for _ in range(devices)]
        self._boots = [self._uuid() for _ in range(devices)]
        self._templates = {Kind.TRAFFIC: self._lines(), Kind.OCCUPANCY: self._zones()}
        self._heartbeat = _template(_heartbeat())
        name, dictionary = list(shipped_dictionaries().items())[-1]
        self._head = b"SFB1" + name
        self._compressor = zstandard.ZstdCompressor(
            level=3, dict_data=dictionary, write_content_size=True, write_dict_id=False
        )

    def batches(self, minutes: int) -> Iterator[Packet]:
        """Yield each device's minute as one message, as devices send it by default."""
        for minute in range(minutes):
            for device in range(self._devices):
                events = [text for _, _, text in self._minute(device, minute)]
                raw = ("[" + ",".join([*events, self._beat(device, minute)]) + "]").encode()
                payload = self._head + self._compressor.compress(raw)
                yield Packet(batch_topic(*_names(device)), payload, len(events))

    def singles(self, minutes: int) -> Iterator[Packet]:
        """Yield each event alone, as devices with ``batch_s = 0`` send it; no heartbeats."""
        for minute in range(minutes):
            for device in range(self._devices):
                site, name = _names(device)
                for kind, seq, text in self._minute(device, minute):
                    identity = event_id(self._streams[device], kind, seq)
                    whole = f'{{"id":"{identity}",{text[1:]}'.encode()
                    yield Packet(f"{ROOT}/{site}/{name}/{kind}", whole, 1)

    def _minute(self, device: int, minute: int) -> Iterator[tuple[Kind, int, str]]:
        window = self._start + timedelta(minutes=minute)
        for number in range(CAMERAS):
            seq = minute * CAMERAS + number + 1
            kind = (Kind.TRAFFIC, Kind.OCCUPANCY)[number % 2]
            text = self._draw.choice(self._templates[kind])
            yield (
                kind,
                seq,
                _filled(text, device, f"cam-{number}", self._streams[device], seq, window),
            )

    def _beat(self, device: int, minute: int) -> str:
        window = self._start + timedelta(minutes=minute)
        return _filled(self._heartbeat, device, "", self._boots[device], minute + 2, window)

    def _lines(self) -> list[str]:
        few = self._draw.randrange
        return [
            _template(
                TrafficData(
                    **BASIS,
                    window_start=_WINDOW,
                    lines=[LineCount(line="entrance", crossings_in=few(9), crossings_out=few(9))],
                )
            )
            for _ in range(64)
        ]

    def _zones(self) -> list[str]:
        return [
            _template(OccupancyData(**BASIS, window_start=_WINDOW, zones=[self._zone()]))
            for _ in range(64)
        ]

    def _zone(self) -> ZoneOccupancy:
        busy_s = round(self._draw.uniform(0, 40), 3)
        return ZoneOccupancy(
            zone="square",
            people_s=busy_s,
            observed_s=59.898,
            people_max=1,
            histogram_s=[round(59.898 - busy_s, 3), busy_s, 0, 0, 0, 0, 0, 0],
        )

    def _uuid(self) -> uuid.UUID:
        return uuid.UUID(int=self._draw.getrandbits(128), version=4)


def _heartbeat() -> HeartbeatData:
    live = CameraStatus.LIVE
    return HeartbeatData(
        boot_id=_STREAM,
        uptime_s=86_412.5,
        outbox_rows=16,
        outbox_bytes=9000,
        outbox_dropped=0,
        cameras=[CameraHealth(camera=f"cam-{n}", status=live, fps=9.97) for n in range(CAMERAS)],
    )


def _template(data: EventData) -> str:
    camera = None if isinstance(data, HeartbeatData) else _CAMERA
    source = source_of(_SITE, _DEVICE, camera)
    event = build_event(data, source=source, time=_SAID, stream=_STREAM, seq=_SEQ, prevseq=_SEQ - 1)
    return slim(event).decode()


def _filled(
    text: str, device: int, camera: str, stream: uuid.UUID, seq: int, window: datetime
) -> str:
    site, name = _names(device)
    said = window + timedelta(seconds=61, microseconds=1 + seq * 7919 % 900_000)
    return (
        text.replace(_SITE, site)
        .replace(_DEVICE, name)
        .replace(_CAMERA, camera)
        .replace(str(_STREAM), str(stream))
        .replace(str(_SEQ), str(seq))
        .replace("2001-01-01T00:00:00Z", window.isoformat().replace("+00:00", "Z"))
        .replace("2002-02-02T00:00:00Z", said.isoformat().replace("+00:00", "Z"))
    )


def _names(device: int) -> tuple[str, str]:
    return f"store-{device // DEVICES_PER_SITE}", f"till-{device % DEVICES_PER_SITE}"
