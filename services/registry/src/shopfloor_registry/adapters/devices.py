"""Devices and groups in SQL."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select, tuple_

from shopfloor_registry.adapters.sql import Database, instant, upsert
from shopfloor_registry.adapters.tables import DEVICES, GROUPS, RUNNING
from shopfloor_registry.domain.devices import DeviceRecord, GroupRecord
from shopfloor_registry.errors import NotFoundError
from shopfloor_registry.usecases.ports import Entry

Change = Callable[[DeviceRecord | None], DeviceRecord]


@dataclass(frozen=True, slots=True)
class SqlDevices:
    """What devices are, should run and run; and the queries that have names."""

    database: Database

    def change(self, site: str, device: str, change: Change, entry: Entry | None) -> DeviceRecord:
        """Store what ``change`` makes of a device, in one transaction."""
        with self.database.writing(entry) as connection:
            where = (DEVICES.c.site == site) & (DEVICES.c.device == device)
            # Two writers would each undo what the other one said.
            row = connection.execute(select(DEVICES).where(where).with_for_update()).first()
            before = None if row is None else _device(row)
            after = change(before)
            values = _row_of(after)
            statement = upsert(connection, DEVICES).values(values)
            connection.execute(
                statement.on_conflict_do_update(index_elements=["site", "device"], set_=values)
            )
            if before is None or before.reported != after.reported:
                _keep_running(connection, after)
            return after

    def get(self, site: str, device: str) -> DeviceRecord:
        """Return a device, or raise NotFoundError."""
        query = select(DEVICES).where(DEVICES.c.site == site, DEVICES.c.device == device)
        with self.database.reading() as connection:
            row = connection.execute(query).first()
        if row is None:
            raise NotFoundError(f"no device {site}/{device}")
        return _device(row)

    def all(self) -> list[DeviceRecord]:
        """Return every device, by site and name."""
        query = select(DEVICES).order_by(DEVICES.c.site, DEVICES.c.device)
        with self.database.reading() as connection:
            return [_device(row) for row in connection.execute(query)]

    def page(self, *, after: tuple[str, str] | None, limit: int) -> list[DeviceRecord]:
        """Return devices by site and name, those after ``after``."""
        query = select(DEVICES).order_by(DEVICES.c.site, DEVICES.c.device).limit(limit)
        if after is not None:
            query = query.where(tuple_(DEVICES.c.site, DEVICES.c.device) > tuple_(*after))
        with self.database.reading() as connection:
            return [_device(row) for row in connection.execute(query)]

    def running(
        self, digest: str, *, after: tuple[str, str] | None, limit: int
    ) -> list[tuple[str, str, str]]:
        """Return site, device and part of what reports ``digest``."""
        query = select(RUNNING.c.site, RUNNING.c.device, RUNNING.c.part)
        query = query.where(RUNNING.c.digest == digest).order_by(RUNNING.c.site, RUNNING.c.device)
        if after is not None:
            query = query.where(tuple_(RUNNING.c.site, RUNNING.c.device) > tuple_(*after))
        with self.database.reading() as connection:
            return [(r.site, r.device, r.part) for r in connection.execute(query.limit(limit))]

    def count(self) -> int:
        """Return how many devices there are."""
        with self.database.reading() as connection:
            return connection.execute(select(func.count()).select_from(DEVICES)).scalar_one()

    def put_group(self, group: GroupRecord, entry: Entry) -> None:
        """Store a group, in the place of one with its name."""
        values = {
            "name": group.name,
            "query": group.query,
            "made_by": group.made_by,
            "made_at": group.made_at.isoformat(),
        }
        with self.database.writing(entry) as connection:
            statement = upsert(connection, GROUPS).values(values)
            connection.execute(
                statement.on_conflict_do_update(index_elements=["name"], set_=values)
            )

    def remove_group(self, name: str, entry: Entry) -> None:
        """Forget a group, or raise NotFoundError."""
        with self.database.writing(entry) as connection:
            if connection.execute(delete(GROUPS).where(GROUPS.c.name == name)).rowcount == 0:
                raise NotFoundError(f"no group {name!r}")

    def group(self, name: str) -> GroupRecord:
        """Return a group, or raise NotFoundError."""
        found = [group for group in self.groups() if group.name == name]
        if not found:
            raise NotFoundError(f"no group {name!r}")
        return found[0]

    def groups(self) -> list[GroupRecord]:
        """Return every group, by name."""
        with self.database.reading() as connection:
            rows = connection.execute(select(GROUPS).order_by(GROUPS.c.name))
            return [GroupRecord(r.name, r.query, r.made_by, instant(r.made_at)) for r in rows]


def with_labels(device: DeviceRecord, changes: Mapping[str, str | None]) -> DeviceRecord:
    """Return ``device`` with labels set, and those removed that are None in ``changes``."""
    merged = {**device.labels, **changes}
    return replace(
        device, labels={key: value for key, value in merged.items() if value is not None}
    )


def known_labels(devices: Iterable[DeviceRecord]) -> set[str]:
    """Return every label that a query can ask for."""
    return {key for device in devices for key in device.facts()} | {"site", "device", "hardware"}


def _keep_running(connection: Connection, device: DeviceRecord) -> None:
    here = (RUNNING.c.site == device.site) & (RUNNING.c.device == device.device)
    connection.execute(delete(RUNNING).where(here))
    rows = [
        {"site": device.site, "device": device.device, "part": part, "digest": digest}
        for part, digest in device.reported.items()
    ]
    if rows:
        connection.execute(insert(RUNNING), rows)


def _row_of(device: DeviceRecord) -> dict[str, Any]:
    seen = device.last_seen_at
    return {
        "site": device.site,
        "device": device.device,
        "hardware": device.hardware,
        "capabilities": json.dumps(device.capabilities),
        "labels": json.dumps(device.labels, sort_keys=True),
        "desired": json.dumps(device.desired, sort_keys=True),
        "reported": json.dumps(device.reported, sort_keys=True),
        "last_seen_at": None if seen is None else seen.isoformat(),
    }


def _device(row: Row[Any]) -> DeviceRecord:
    return DeviceRecord(
        site=row.site,
        device=row.device,
        hardware=row.hardware,
        capabilities=tuple(json.loads(row.capabilities)),
        labels=json.loads(row.labels),
        desired=json.loads(row.desired),
        reported=json.loads(row.reported),
        last_seen_at=None if row.last_seen_at is None else instant(row.last_seen_at),
    )
