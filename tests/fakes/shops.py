"""Two shops that count for hours of two weeks, told to ingest's store as devices would."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

from shopfloor_contracts.aggregates import (
    DefectCount,
    DwellData,
    HeatData,
    InspectionData,
    QueueData,
    ShelfData,
    SlotFigures,
    SlotState,
    ZoneDwell,
    ZoneQueue,
)
from shopfloor_contracts.alerts import AlertData, AlertState
from shopfloor_contracts.events import (
    BirthData,
    CameraHealth,
    CameraStatus,
    DeviceHealth,
    HeartbeatData,
    LineCount,
    OccupancyData,
    TrafficData,
    ZoneOccupancy,
    build_event,
    encode,
    kind_of,
    source_of,
)
from shopfloor_contracts.rules import Severity
from shopfloor_ingest.adapters.store import SqlStore
from shopfloor_ingest.domain.messages import Accepted, Message, judge
from shopfloor_kit.database import open_engine

WEEK = timedelta(days=7)
MODELS = ("a" * 64, "b" * 64)


class Shop:
    """One device with one camera, which counts people with one model."""

    def __init__(self, site: str, device: str, *, model: str, drifted: bool = False) -> None:
        self.site, self.device, self._model, self._drifted = site, device, model, drifted
        self._stream, self._boot, self._seq = uuid.uuid4(), uuid.uuid4(), 0

    def minute(self, start: datetime, *, people: int) -> list[Accepted]:
        """Return what one minute is told as."""
        window = {
            "window_start": start,
            "window_s": 60.0,
            "coverage_ratio": 0.9,
            "frames": 500,
            "model_digest": self._model,
            "zone_version": "0" * 12,
            "backend": "onnxruntime",
            "precision": "int8",
            "degraded": self._drifted,
        }
        said = [
            TrafficData(**window, lines=[LineCount(line="entrance", crossings_in=people)]),
            OccupancyData(**window, zones=[_occupancy(people)]),
            DwellData(**window, zones=[_dwell(people)]),
            QueueData(**window, zones=[_queue(people)]),
            HeatData(**window, observed_s=54, people_s=1.0, cells_s=_GRID),
            ShelfData(**window, slots=[_SLOT]),
            _alert(start),
            _inspection(window),
        ]
        return [self._event(data, start + timedelta(minutes=1), camera="cam-1") for data in said]

    def life(self, now: datetime) -> list[Accepted]:
        """Return its birth and its newest heartbeat."""
        birth = BirthData(
            boot_id=self._boot, stream=self._stream, next_seq=1, software="test", cameras=["cam-1"]
        )
        scores = [0, 0, 5, 10, 10, 5, 0, 0, 0, 0] if self._drifted else [0] * 5 + [1, 4, 10, 20, 5]
        health = DeviceHealth(
            inference_histogram=[1, 5, 30, 40, 10, 5, 4, 4, 1],
            score_histogram=scores,
            memory_available_bytes=10**9,
            disk_free_bytes=10**10,
            temperature_c=61.5,
            clock_error_s=0.002,
        )
        heartbeat = HeartbeatData(
            boot_id=self._boot,
            uptime_s=60,
            outbox_rows=3,
            outbox_bytes=100,
            outbox_dropped=1,
            cameras=[CameraHealth(camera="cam-1", status=CameraStatus.LIVE, fps=9.9)],
            health=health,
        )
        return [
            self._event(birth, now - timedelta(seconds=20), camera=None),
            self._event(heartbeat, now, camera=None),
        ]

    def _event(self, data, at: datetime, *, camera: str | None) -> Accepted:
        self._seq += 1
        stream = self._stream if camera else self._boot
        source = source_of(self.site, self.device, camera)
        event = build_event(data, source=source, time=at, stream=stream, seq=self._seq)
        topic = f"shopfloor/v1/{self.site}/{self.device}/{kind_of(data)}"
        judged = judge(Message(topic, encode(event), at))
        assert isinstance(judged, Accepted), judged
        return judged


def open_shops(url: str, *, now: datetime | None = None) -> datetime:
    """Store two weeks of three devices at ``url``; return the instant at which the day ends."""
    now = now or datetime.now(UTC)
    shops = [
        Shop("oslo", "door", model=MODELS[0]),
        Shop("oslo", "till", model=MODELS[0], drifted=True),
        Shop("bergen", "door", model=MODELS[1]),
    ]
    engine = open_engine(url)
    store = SqlStore(engine)
    store.prepare()
    hours = [now.replace(minute=0, second=0, microsecond=0) - timedelta(hours=n) for n in range(4)]
    for number, shop in enumerate(shops):
        batch = []
        for hour in hours:
            batch += shop.minute(hour, people=6 + number)
            batch += shop.minute(hour - WEEK, people=5)
        store.write([*batch, *shop.life(now)])
    engine.dispose()
    return now


def _inspection(window: dict) -> InspectionData:
    return InspectionData(
        **window,
        station="press",
        passed=95,
        failed=4,
        reviewed=1,
        missed=1,
        escapes=1,
        false_rejects=1,
        confirmed=2,
        defects=[DefectCount(name="scratch", parts=3, places=4), DefectCount(name="dent", parts=1)],
        doubts=[DefectCount(name="turned", parts=1)],
        latency_histogram=[0, 20, 60, 10, 5, 3, 1, 1, 0],
        line="alerted",
        stops=1,
    )


def _occupancy(people: int) -> ZoneOccupancy:
    return ZoneOccupancy(
        zone="hall",
        people_s=54.0 * people,
        observed_s=54,
        people_max=people,
        histogram_s=[0, 0, 0, 0, 54, 0, 0, 0],
    )


def _dwell(people: int) -> ZoneDwell:
    return ZoneDwell(
        zone="hall",
        observed_s=54,
        entries=people,
        exits=people,
        lost=0,
        dwell_s=40.0 * people,
        dwell_max_s=95,
        histogram=[0, 1, 2, people - 4, 1, 0, 0, 0],
    )


def _queue(people: int) -> ZoneQueue:
    return ZoneQueue(
        zone="till",
        observed_s=54,
        people_s=100,
        people_max=3,
        length_histogram_s=[14, 20, 20, 0, 0, 0, 0, 0],
        joined=people,
        served=people,
        lost=0,
        wait_s=300,
        wait_max_s=700,
        wait_histogram=[0, 1, 1, 1, 0, 0, people - 5, 2],
    )


def _alert(at: datetime) -> AlertData:
    return AlertData(
        alert_id=uuid.uuid4(),
        rule="too-many",
        metric="zone-count",
        about="hall",
        state=AlertState.RAISED,
        severity=Severity.WARNING,
        at=at,
        since=at,
        value=9,
        threshold=5,
        suppressed=1,
    )


_GRID = [[0.0] * 32 for _ in range(17)] + [[1.0] + [0.0] * 31]
_SLOT = SlotFigures(
    slot="left",
    state=SlotState.EMPTY,
    correct_s=40,
    empty_s=10,
    wrong_s=2,
    unknown_s=2,
    hidden_s=1,
    removals=1,
    returns=0,
)
