"""Events as a device would send them, for tests of ingest."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

from shopfloor_contracts.events import (
    BirthData,
    DeathData,
    Event,
    HeartbeatData,
    LineCount,
    OccupancyData,
    TrafficData,
    ZoneOccupancy,
    build_event,
    source_of,
)

EPOCH = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
WINDOW_S = 60.0


class FakeDevice:
    """One device with one camera: builds events, sends nothing. Counts from 1."""

    def __init__(self, site: str = "oslo", device: str = "door", camera: str = "cam-1") -> None:
        self.site, self.device, self.camera = site, device, camera
        self.stream, self.boot_id = uuid.uuid4(), uuid.uuid4()

    def topic(self, kind: str) -> str:
        return f"shopfloor/v1/{self.site}/{self.device}/{kind}"

    def traffic(
        self,
        seq: int,
        *,
        prevseq: int | None = None,
        window_start: datetime | None = None,
        crossings: tuple[int, int] = (1, 2),
        coverage: float = 1.0,
        window_s: float = WINDOW_S,
        line: str = "entrance",
    ) -> Event:
        start = window_start or EPOCH + timedelta(seconds=WINDOW_S * seq)
        data = TrafficData(
            **_window(start, window_s, coverage),
            lines=[LineCount(line=line, crossings_in=crossings[0], crossings_out=crossings[1])],
        )
        return self._wrap(data, seq, prevseq)

    def occupancy(self, seq: int, *, prevseq: int | None = None) -> Event:
        start = EPOCH + timedelta(seconds=WINDOW_S * seq)
        zone = ZoneOccupancy(
            zone="till", people_s=90, observed_s=60, people_max=3, histogram_s=[0, 30, 30] + [0] * 5
        )
        return self._wrap(
            OccupancyData(**_window(start, WINDOW_S, 1.0), zones=[zone]), seq, prevseq
        )

    def birth(self, *, next_seq: int = 1, time: datetime = EPOCH) -> Event:
        data = BirthData(
            boot_id=self.boot_id,
            stream=self.stream,
            next_seq=next_seq,
            software="test",
            cameras=[self.camera],
        )
        return self._life(data, 1, time)

    def heartbeat(self, *, seq: int = 2, time: datetime = EPOCH) -> Event:
        data = HeartbeatData(
            boot_id=self.boot_id,
            uptime_s=5,
            outbox_rows=7,
            outbox_bytes=0,
            outbox_dropped=0,
            cameras=[],
        )
        return self._life(data, seq, time)

    def death(self, *, reason: str = "connection-lost", time: datetime = EPOCH) -> Event:
        return self._life(DeathData(boot_id=self.boot_id, reason=reason), 3, time)

    def _wrap(self, data, seq, prevseq) -> Event:
        source = source_of(self.site, self.device, self.camera)
        return build_event(
            data, source=source, time=EPOCH, stream=self.stream, seq=seq, prevseq=prevseq
        )

    def _life(self, data, seq, time) -> Event:
        source = source_of(self.site, self.device)
        return build_event(data, source=source, time=time, stream=self.boot_id, seq=seq)


def _window(start: datetime, window_s: float, coverage: float) -> dict:
    return {
        "window_start": start,
        "window_s": window_s,
        "coverage_ratio": coverage,
        "frames": 100,
        "model_digest": "0" * 64,
        "zone_version": "0" * 12,
    }
