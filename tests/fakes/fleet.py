"""A fleet of any size in ingest's database and figures, as real devices would leave it."""

from __future__ import annotations

import itertools
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

from prometheus_client import CollectorRegistry
from sqlalchemy import insert

from fakes.ingest_events import FakeDevice
from shopfloor_contracts.alerts import AlertData, AlertState
from shopfloor_contracts.events import (
    CameraHealth,
    CameraStatus,
    HeartbeatData,
    build_event,
    encode,
    kind_of,
    source_of,
)
from shopfloor_contracts.rules import Severity
from shopfloor_ingest.adapters import rows
from shopfloor_ingest.adapters.fleet import DeviceReader, FleetCollector, FleetFigures
from shopfloor_ingest.adapters.metrics import PrometheusMeter
from shopfloor_ingest.adapters.store import SqlStore
from shopfloor_ingest.adapters.tables import DEVICES
from shopfloor_ingest.domain.devices import DeviceState, DeviceStatus
from shopfloor_ingest.domain.messages import Accepted, Message, judge
from shopfloor_kit.database import open_engine

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


def alert(site: str, severity: Severity, *, seq: int = 1, at: datetime = NOW) -> Accepted:
    """Return an alert that was just raised, as ingest has judged it."""
    data = AlertData(
        alert_id=uuid.uuid4(),
        rule="too-many",
        metric="zone-count",
        state=AlertState.RAISED,
        severity=severity,
        at=at,
        since=at,
        value=9,
        threshold=5,
    )
    source = source_of(site, "door", "cam-1")
    event = build_event(data, source=source, time=at, stream=uuid.uuid4(), seq=seq)
    return accepted(event, FakeDevice(site), received_at=at)


def accepted(event, device: FakeDevice, *, received_at: datetime = NOW) -> Accepted:
    """Return what ingest makes of ``event``."""
    message = Message(device.topic(str(kind_of(event.data))), encode(event), received_at)
    judged = judge(message)
    assert isinstance(judged, Accepted), judged
    return judged


def heartbeat(cameras: int, *, rows_waiting: int = 0, dropped: int = 0) -> str:
    """Return a heartbeat of cameras that are in every state in turn."""
    states = itertools.cycle(CameraStatus)
    return HeartbeatData(
        boot_id=uuid.UUID(int=1),
        uptime_s=60,
        outbox_rows=rows_waiting,
        outbox_bytes=0,
        outbox_dropped=dropped,
        cameras=[
            CameraHealth(camera=f"cam-{n}", status=status, fps=10)
            for n, status in zip(range(cameras), states, strict=False)
        ],
    ).model_dump_json()


class Fleet:
    """A registry like the one that ingest serves, over a database of its own."""

    def __init__(self, folder: Path, *, now=lambda: NOW) -> None:
        self.engine = open_engine(f"sqlite:///{folder / 'fleet.db'}")
        self.store = SqlStore(self.engine)
        self.store.prepare()
        self.figures = FleetFigures()
        self.registry = CollectorRegistry()
        self.meter = PrometheusMeter(self.registry)
        self.registry.register(FleetCollector(DeviceReader(self.engine), self.figures, now=now))

    def add(
        self,
        site: str,
        device: str,
        *,
        status: DeviceStatus = DeviceStatus.ONLINE,
        seen_at: datetime = NOW,
        said: str | None = None,
    ) -> None:
        """Add one device."""
        self.add_all([(site, device, status, seen_at, said)])

    def add_all(self, devices) -> None:
        """Add many at once."""
        values = [
            rows.device_row(
                site, device, DeviceState(status, uuid.UUID(int=1), None, seen_at, seen_at, said)
            )
            for site, device, status, seen_at, said in devices
        ]
        with self.engine.begin() as connection:
            connection.execute(insert(DEVICES), values)

    def value(self, name: str, **labels: str) -> float | None:
        """Return one sample of a scrape."""
        return self.registry.get_sample_value(name, labels)


def large_fleet(folder: Path, *, sites: int, cameras: int) -> Fleet:
    """Return a fleet in which every site has every state: the most series that there can be."""
    fleet = Fleet(folder)
    said = heartbeat(cameras - 1, rows_waiting=3)
    gone = heartbeat(1)
    late = NOW - timedelta(minutes=10)
    for n in range(sites):
        for severity in Severity:
            fleet.figures.take([alert(f"site-{n}", severity)])
    fleet.add_all(
        device
        for n in range(sites)
        for device in (
            (f"site-{n}", "door", DeviceStatus.ONLINE, NOW, said),
            (f"site-{n}", "till", DeviceStatus.OFFLINE, late, gone),
        )
    )
    return fleet
