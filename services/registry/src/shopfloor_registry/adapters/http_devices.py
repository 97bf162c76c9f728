"""Routes of devices and groups, and of who runs a digest."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query

from shopfloor_contracts.base import SLUG_PATTERN
from shopfloor_contracts.selectors import MAX_LENGTH, parse_selector
from shopfloor_kit.tokens import Caller, Gatekeeper, Role
from shopfloor_registry.adapters import bodies as b
from shopfloor_registry.adapters.devices import SqlDevices, known_labels, with_labels
from shopfloor_registry.adapters.http_models import After, Limit
from shopfloor_registry.adapters.versions import SqlVersions
from shopfloor_registry.domain.devices import DeviceRecord, GroupRecord
from shopfloor_registry.errors import NotFoundError, RejectedError
from shopfloor_registry.usecases.ports import Entry

Site = Annotated[str, Path(pattern=SLUG_PATTERN)]
Device = Annotated[str, Path(pattern=SLUG_PATTERN)]
Name = Annotated[str, Path(pattern=SLUG_PATTERN)]
Digest = Annotated[str, Path(pattern=r"^[0-9a-f]{64}$")]
Query_ = Annotated[str, Query(max_length=MAX_LENGTH, description="as region=emea,!lab")]


@dataclass(frozen=True, slots=True)
class Fleet:
    """What the routes of devices use."""

    devices: SqlDevices
    versions: SqlVersions
    now: Callable[[], datetime]

    def select(self, query: str, *, after: str | None, limit: int) -> b.Page[b.DeviceTold]:
        """Return a page of the devices that ``query`` matches, and what is odd about it."""
        selector, devices = parse_selector(query), self.devices.all()
        matched = [one for one in devices if selector.matches(one.facts())]
        warnings = selector.warnings(known_labels(devices), matched=len(matched))
        place = _place(after)
        rest = [one for one in matched if place is None or (one.site, one.device) > place]
        return _page(rest[:limit], more=len(rest) > limit, warnings=warnings)


def device_router(fleet: Fleet, gate: Gatekeeper) -> APIRouter:
    """Build every route below ``/api/v1`` that is about devices."""
    router = APIRouter(prefix="/api/v1", tags=["devices"])
    _reading(router, fleet, gate)
    _writing(router, fleet, gate)
    _groups(router, fleet, gate)
    return router


def _reading(router: APIRouter, fleet: Fleet, gate: Gatekeeper) -> None:
    viewer = Depends(gate.needs(Role.VIEWER))

    @router.get("/devices", dependencies=[viewer])
    def devices(
        query: Query_ = "", limit: Limit = 100, after: After = None
    ) -> b.Page[b.DeviceTold]:
        """List the devices that a query matches; warnings tell of labels that nobody has."""
        return fleet.select(query, after=after, limit=limit)

    @router.get("/devices/{site}/{device}", dependencies=[viewer])
    def show(site: Site, device: Device) -> b.DeviceTold:
        """Show a device."""
        return b.tell_device(fleet.devices.get(site, device))

    @router.get("/digests/{digest}", dependencies=[viewer])
    def who(digest: Digest, limit: Limit = 100, after: After = None) -> b.WhoTold:
        """Say what a digest is, and which devices report that they run it."""
        what = [
            b.WhatTold(model=key.model, version=key.version, target=target)
            for key, target in fleet.versions.with_build(digest)
        ]
        found = fleet.devices.running(digest, after=_place(after), limit=limit)
        items = [b.RunningTold(site=s, device=d, part=part) for s, d, part in found]
        last = f"{items[-1].site}/{items[-1].device}" if len(items) == limit else None
        return b.WhoTold(digest=digest, what=what, items=items, next=last)


def _writing(router: APIRouter, fleet: Fleet, gate: Gatekeeper) -> None:
    operator = Depends(gate.needs(Role.OPERATOR))

    @router.put("/devices/{site}/{device}", dependencies=[operator])
    def put(site: Site, device: Device, body: b.DeviceBody) -> b.DeviceTold:
        """Say what a device is and runs; a device that is not known yet becomes known.

        Reports come each minute of each device: they are no matter of the audit log.
        """

        def change(before: DeviceRecord | None) -> DeviceRecord:
            return _told(before or _new(site, device), body)

        return b.tell_device(fleet.devices.change(site, device, change, None))

    @router.put("/devices/{site}/{device}/labels")
    def label(
        site: Site, device: Device, body: b.LabelsBody, caller: Caller = operator
    ) -> b.DeviceTold:
        """Set and remove labels."""
        reserved = sorted({"site", "device", "hardware"} & body.labels.keys())
        if reserved:
            raise RejectedError(f"label {reserved[0]!r} is what every device has by itself")
        said = {key: value for key, value in body.labels.items()}  # noqa: C416 — wider value type
        entry = Entry(caller.name, "device.label", f"{site}/{device}", said, fleet.now())
        change = _known(site, device, lambda before: with_labels(before, body.labels))
        return b.tell_device(fleet.devices.change(site, device, change, entry))

    @router.put("/devices/{site}/{device}/desired")
    def desire(
        site: Site, device: Device, body: b.DesiredBody, caller: Caller = operator
    ) -> b.DeviceTold:
        """Say what a device should run."""
        said = {key: value for key, value in body.desired.items()}  # noqa: C416 — wider value type
        entry = Entry(caller.name, "device.desire", f"{site}/{device}", said, fleet.now())

        def set_desired(before: DeviceRecord) -> DeviceRecord:
            merged = {**before.desired, **body.desired}
            return replace(before, desired={k: v for k, v in merged.items() if v is not None})

        change = _known(site, device, set_desired)
        return b.tell_device(fleet.devices.change(site, device, change, entry))


def _groups(router: APIRouter, fleet: Fleet, gate: Gatekeeper) -> None:
    viewer, operator = Depends(gate.needs(Role.VIEWER)), Depends(gate.needs(Role.OPERATOR))

    @router.get("/groups", dependencies=[viewer])
    def groups() -> b.Page[b.GroupTold]:
        """List groups by name."""
        return b.Page(items=[b.GroupTold.model_validate(one) for one in fleet.devices.groups()])

    @router.get("/groups/{name}/devices", dependencies=[viewer])
    def members(name: Name, limit: Limit = 100, after: After = None) -> b.Page[b.DeviceTold]:
        """List the devices that a group's query matches now."""
        return fleet.select(fleet.devices.group(name).query, after=after, limit=limit)

    @router.put("/groups/{name}")
    def put(name: Name, body: b.GroupBody, caller: Caller = operator) -> b.Page[b.GroupTold]:
        """Name a query; warnings tell when it matches nothing or asks for unknown labels."""
        warnings = fleet.select(body.query, after=None, limit=1).warnings
        at = fleet.now()
        group = GroupRecord(name, body.query, caller.name, at)
        entry = Entry(caller.name, "group.put", name, {"query": body.query}, at)
        fleet.devices.put_group(group, entry)
        return b.Page(items=[b.GroupTold.model_validate(group)], warnings=warnings)

    @router.delete("/groups/{name}", status_code=204)
    def remove(name: Name, caller: Caller = operator) -> None:
        """Forget a group; its devices stay."""
        entry = Entry(caller.name, "group.remove", name, {}, fleet.now())
        fleet.devices.remove_group(name, entry)


def _known(
    site: str, device: str, change: Callable[[DeviceRecord], DeviceRecord]
) -> Callable[[DeviceRecord | None], DeviceRecord]:
    def checked(before: DeviceRecord | None) -> DeviceRecord:
        if before is None:
            raise NotFoundError(f"no device {site}/{device}")
        return change(before)

    return checked


def _new(site: str, device: str) -> DeviceRecord:
    return DeviceRecord(site, device, "", (), {}, {}, {}, None)


def _told(before: DeviceRecord, body: b.DeviceBody) -> DeviceRecord:
    """Return the device with what the body says; a report from the past moves no clock back."""
    seen = [at for at in (before.last_seen_at, body.seen_at) if at is not None]
    return replace(
        before,
        hardware=before.hardware if body.hardware is None else body.hardware,
        capabilities=(
            before.capabilities if body.capabilities is None else tuple(body.capabilities)
        ),
        reported=before.reported if body.reported is None else body.reported,
        last_seen_at=max(seen, default=None),
    )


def _place(after: str | None) -> tuple[str, str] | None:
    if after is None:
        return None
    site, slash, device = after.partition("/")
    if not slash:
        raise RejectedError(f"after is {after!r}, expected the next of the page before")
    return site, device


def _page(
    devices: Iterable[DeviceRecord], *, more: bool, warnings: list[str]
) -> b.Page[b.DeviceTold]:
    items = [b.tell_device(one) for one in devices]
    last = f"{items[-1].site}/{items[-1].device}" if more else None
    return b.Page(items=items, next=last, warnings=warnings)
