"""Who this device is and how it is: birth, death and heartbeat."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from importlib.metadata import version

from shopfloor_contracts.events import (
    BirthData,
    CameraHealth,
    DeathData,
    DeviceHealth,
    Event,
    EventData,
    HeartbeatData,
    Kind,
    build_event,
    encode,
    source_of,
)
from shopfloor_contracts.site import SiteFile
from shopfloor_contracts.topics import EventTopic
from shopfloor_edge.journal.outbox import Position
from shopfloor_edge.journal.state import State


class Presence:
    """Makes the messages of one boot. They are numbered in a stream of their own."""

    def __init__(self, site: SiteFile) -> None:
        self._site = site
        self.boot_id = uuid.uuid4()
        self._seq = 0

    def topic(self, kind: Kind) -> str:
        """Return where this device says that kind."""
        return str(EventTopic(self._site.site, self._site.device, kind))

    def birth(self, position: Position) -> bytes:
        """Return the message that opens every connection."""
        return self._encode(
            BirthData(
                boot_id=self.boot_id,
                stream=position.stream,
                next_seq=position.next_seq,
                software=f"shopfloor-edge {version('shopfloor-edge')}",
                cameras=[camera.name for camera in self._site.cameras],
            )
        )

    def farewell(self) -> bytes:
        """Return the death message of a clean stop."""
        return self._encode(DeathData(boot_id=self.boot_id, reason="stopped"))

    def last_will(self) -> bytes:
        """Return the death message that the broker sends when this device vanishes."""
        return self._encode(DeathData(boot_id=self.boot_id, reason="connection-lost"))

    def heartbeat(
        self, state: State, *, uptime_s: float, health: DeviceHealth | None = None
    ) -> Event:
        """Return how the device is now."""
        return self._event(
            HeartbeatData(
                boot_id=self.boot_id,
                uptime_s=round(uptime_s, 1),
                outbox_rows=state.outbox_rows,
                outbox_bytes=state.outbox_bytes,
                outbox_dropped=state.counters.get("outbox_dropped", 0),
                outbox_write_failures=state.counters.get("outbox_write_failures", 0),
                cameras=[
                    CameraHealth(
                        camera=row.camera, status=row.status, fps=row.fps, reason=row.reason
                    )
                    for row in state.cameras
                ],
                health=health,
            )
        )

    def _encode(self, data: EventData) -> bytes:
        return encode(self._event(data))

    def _event(self, data: EventData) -> Event:
        self._seq += 1
        return build_event(
            data,
            source=source_of(self._site.site, self._site.device),
            time=datetime.now(UTC),
            stream=self.boot_id,
            seq=self._seq,
        )
