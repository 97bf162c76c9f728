"""Which device is online. Pure."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from shopfloor_contracts.events import BirthEvent, DeathEvent, HeartbeatEvent

LifeEvent = BirthEvent | DeathEvent | HeartbeatEvent


class DeviceStatus(StrEnum):
    """Whether a device is connected, as far as is known."""

    ONLINE = "online"
    OFFLINE = "offline"


@dataclass(frozen=True, slots=True)
class DeviceState:
    """What is known of a device. ``said_at`` is by its clock, ``last_seen_at`` by ours."""

    status: DeviceStatus
    boot_id: uuid.UUID
    stream: uuid.UUID | None
    said_at: datetime
    last_seen_at: datetime
    heartbeat: str | None = None


def next_state(state: DeviceState | None, event: LifeEvent, received_at: datetime) -> DeviceState:
    """Return what is known of a device after ``event``; words of an older boot change nothing."""
    if isinstance(event, BirthEvent):
        return _after_birth(state, event, received_at)
    if isinstance(event, DeathEvent):
        return _after_death(state, event, received_at)
    return _after_heartbeat(state, event, received_at)


def _after_birth(
    state: DeviceState | None, event: BirthEvent, received_at: datetime
) -> DeviceState:
    said = event.data
    same = state is not None and state.boot_id == said.boot_id
    heartbeat = state.heartbeat if state is not None and same else None
    online = DeviceStatus.ONLINE
    return DeviceState(online, said.boot_id, said.stream, event.time, received_at, heartbeat)


def _after_death(
    state: DeviceState | None, event: DeathEvent, received_at: datetime
) -> DeviceState:
    if state is None:
        return DeviceState(DeviceStatus.OFFLINE, event.data.boot_id, None, event.time, received_at)
    if state.boot_id != event.data.boot_id:
        return state
    # A last will was written when the device connected: it must not set the clock back.
    said_at = max(state.said_at, event.time)
    return replace(state, status=DeviceStatus.OFFLINE, said_at=said_at)


def _after_heartbeat(
    state: DeviceState | None, event: HeartbeatEvent, received_at: datetime
) -> DeviceState:
    boot_id, heartbeat = event.data.boot_id, event.data.model_dump_json()
    online = DeviceStatus.ONLINE
    if state is None:
        return DeviceState(online, boot_id, None, event.time, received_at, heartbeat)
    # The same boot while online is believed whatever its clock says: clocks get corrected.
    doubtful = state.boot_id != boot_id or state.status is DeviceStatus.OFFLINE
    if doubtful and event.time <= state.said_at:
        return state
    return DeviceState(online, boot_id, state.stream, event.time, received_at, heartbeat)
