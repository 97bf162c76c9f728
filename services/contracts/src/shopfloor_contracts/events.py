"""CloudEvents 1.0 that leave a device: what each kind carries, how ids and sequences are made.

No type here has a field that can hold pixels: text fields are bounded names, numbers are
counts and seconds. ``tests/contract/test_no_pixels.py`` holds that.
"""

from __future__ import annotations

import uuid
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal, get_args

from pydantic import (
    Field,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from shopfloor_contracts.aggregates import (
    DwellData,
    HeatData,
    InspectionData,
    QueueData,
    SensorData,
    ShelfData,
)
from shopfloor_contracts.alerts import AlertData
from shopfloor_contracts.base import (
    SLUG_PATTERN,
    Count,
    Seconds,
    Slug,
    Wire,
    refuse_twins,
)
from shopfloor_contracts.errors import EventRejectedError
from shopfloor_contracts.feedback import FeedbackData
from shopfloor_contracts.identity import event_id_text
from shopfloor_contracts.windows import Instant, ShortText, Window

MAX_EVENT_BYTES = 128 * 1024
"""A larger message is refused unread. The largest legal event is a heartbeat of 64 cameras, each
with a reason of 200 characters that JSON escapes sixfold: 86 kB; the rest is for newer writers."""
_MAX_DETAIL_CHARS = 300


class Kind(StrEnum):
    """Kinds of event; also the last level of the topic."""

    TRAFFIC = "traffic"
    OCCUPANCY = "occupancy"
    BIRTH = "birth"
    DEATH = "death"
    HEARTBEAT = "heartbeat"
    DWELL = "dwell"
    QUEUE = "queue"
    HEAT = "heat"
    SHELF = "shelf"
    INSPECTION = "inspection"
    SENSOR = "sensor"
    ALERT = "alert"
    FEEDBACK = "feedback"


DURABLE_KINDS = frozenset(
    {
        Kind.TRAFFIC,
        Kind.OCCUPANCY,
        Kind.DWELL,
        Kind.QUEUE,
        Kind.HEAT,
        Kind.SHELF,
        Kind.INSPECTION,
        Kind.SENSOR,
        Kind.ALERT,
        Kind.FEEDBACK,
    }
)
"""Kinds that pass through the outbox and are acknowledged; the others describe the moment."""


class CameraStatus(StrEnum):
    """State of a camera as its supervisor sees it."""

    CONNECTING = "connecting"
    LIVE = "live"
    STALLED = "stalled"
    ABSENT = "absent"
    MISCONFIGURED = "misconfigured"
    ENDED = "ended"


class LineCount(Wire):
    """Crossings of one line. Mergeable by addition."""

    line: Slug
    crossings_in: Count = 0
    crossings_out: Count = 0


class TrafficData(Window):
    """Crossings of every line of one camera in one window."""

    lines: Annotated[list[LineCount], Field(min_length=1, max_length=64)]

    @model_validator(mode="after")
    def _lines_are_unique(self) -> TrafficData:
        refuse_twins("line", [count.line for count in self.lines])
        return self


OCCUPANCY_EDGES = (1, 2, 3, 5, 8, 13, 21)
"""Histogram buckets: 0, 1, 2, 3–4, 5–7, 8–12, 13–20, 21 and more people."""


class ZoneOccupancy(Wire):
    """How full one zone was. Mergeable: sums add, maxima take the larger."""

    zone: Slug
    people_s: Seconds
    """Integral of the head count over observed time; divided by ``observed_s`` it is the mean."""
    observed_s: Seconds
    people_max: Count
    histogram_s: Annotated[list[Seconds], Field(min_length=8, max_length=8)]
    """Observed seconds per bucket of ``OCCUPANCY_EDGES``."""


class OccupancyData(Window):
    """Occupancy of every zone of one camera in one window."""

    zones: Annotated[list[ZoneOccupancy], Field(min_length=1, max_length=64)]

    @model_validator(mode="after")
    def _zones_are_unique(self) -> OccupancyData:
        refuse_twins("zone", [zone.zone for zone in self.zones])
        return self


class BirthData(Wire):
    """A device is connected: who it is and where its outbox stands."""

    boot_id: uuid.UUID
    stream: uuid.UUID
    """Identity of the outbox; a new one means that sequences start again."""
    next_seq: Count
    software: ShortText
    cameras: Annotated[list[Slug], Field(max_length=64)]


class DeathData(Wire):
    """A device is gone: sent by itself on a clean stop, by the broker otherwise."""

    boot_id: uuid.UUID
    reason: Literal["stopped", "connection-lost"]


class CameraHealth(Wire):
    """One camera at the moment of a heartbeat."""

    camera: Slug
    status: CameraStatus
    fps: Annotated[float, Field(ge=0, le=1000)]
    reason: ShortText = ""


INFERENCE_EDGES_MS = (10, 20, 35, 50, 75, 100, 250, 1000)
"""Histogram buckets of one frame through the detector: below 10 ms, 10–20, … 1000 and more."""
SCORE_BUCKETS = 10
"""Histogram buckets of detections' scores, each 0.1 wide."""

_Bytes = Annotated[int, Field(ge=0, le=10**15)]


class DeviceHealth(Wire):
    """The machine and its model, over all cameras. What cannot be read here is None.

    The histograms are totals since the vision process started: a total that falls began again.
    """

    inference_histogram: Annotated[list[Count], Field(min_length=9, max_length=9)] | None = None
    """Frames per bucket of ``INFERENCE_EDGES_MS``."""
    score_histogram: Annotated[list[Count], Field(min_length=10, max_length=10)] | None = None
    """Detections by score: its change over weeks tells that what the model sees has drifted."""
    memory_available_bytes: _Bytes | None = None
    disk_free_bytes: _Bytes | None = None
    """Where the outbox is."""
    temperature_c: Annotated[float, Field(ge=-100, le=200)] | None = None
    """The hottest part that the kernel knows."""
    clock_error_s: Seconds | None = None
    """At most so far from the truth, as the time service told the kernel; None: not followed."""


class HeartbeatData(Wire):
    """A device's health now. Losing one loses nothing."""

    boot_id: uuid.UUID
    uptime_s: Seconds
    outbox_rows: Count
    outbox_bytes: Count
    outbox_dropped: Count
    outbox_write_failures: Count = 0
    cameras: Annotated[list[CameraHealth], Field(max_length=64)]
    health: DeviceHealth | None = None
    """None from a writer that did not say yet."""


_SLUG = SLUG_PATTERN.strip("^$")
_SOURCE_PATTERN = f"^/sites/{_SLUG}/devices/{_SLUG}(/cameras/{_SLUG})?$"


class EnvelopeFields(Wire):
    """CloudEvents 1.0 context attributes, with three extensions of ours.

    ``stream``/``seq`` number what one outbox (or one boot) says. ``prevseq`` is the sequence
    before this one that was not dropped, so that a receiver can tell "lost on the way" (wait
    for it) from "dropped by the device" (count it).
    """

    specversion: Literal["1.0"] = "1.0"
    id: uuid.UUID
    source: Annotated[str, Field(pattern=_SOURCE_PATTERN, max_length=300)]
    time: Instant
    stream: uuid.UUID
    seq: Count
    prevseq: Count | None = None

    @model_validator(mode="after")
    def _sequence_goes_forward(self) -> EnvelopeFields:
        if self.prevseq is not None and self.prevseq >= self.seq:
            raise ValueError(f"prevseq {self.prevseq} is not before seq {self.seq}")
        return self


class TrafficEvent(EnvelopeFields):
    """``shopfloor.traffic.v1``"""

    type: Literal["shopfloor.traffic.v1"] = "shopfloor.traffic.v1"
    data: TrafficData


class OccupancyEvent(EnvelopeFields):
    """``shopfloor.occupancy.v1``"""

    type: Literal["shopfloor.occupancy.v1"] = "shopfloor.occupancy.v1"
    data: OccupancyData


class DwellEvent(EnvelopeFields):
    """``shopfloor.dwell.v1``"""

    type: Literal["shopfloor.dwell.v1"] = "shopfloor.dwell.v1"
    data: DwellData


class QueueEvent(EnvelopeFields):
    """``shopfloor.queue.v1``"""

    type: Literal["shopfloor.queue.v1"] = "shopfloor.queue.v1"
    data: QueueData


class HeatEvent(EnvelopeFields):
    """``shopfloor.heat.v1``"""

    type: Literal["shopfloor.heat.v1"] = "shopfloor.heat.v1"
    data: HeatData


class ShelfEvent(EnvelopeFields):
    """``shopfloor.shelf.v1``"""

    type: Literal["shopfloor.shelf.v1"] = "shopfloor.shelf.v1"
    data: ShelfData


class InspectionEvent(EnvelopeFields):
    """``shopfloor.inspection.v1``"""

    type: Literal["shopfloor.inspection.v1"] = "shopfloor.inspection.v1"
    data: InspectionData


class SensorEvent(EnvelopeFields):
    """``shopfloor.sensor.v1``"""

    type: Literal["shopfloor.sensor.v1"] = "shopfloor.sensor.v1"
    data: SensorData


class AlertEvent(EnvelopeFields):
    """``shopfloor.alert.v1``"""

    type: Literal["shopfloor.alert.v1"] = "shopfloor.alert.v1"
    data: AlertData


class FeedbackEvent(EnvelopeFields):
    """``shopfloor.feedback.v1``"""

    type: Literal["shopfloor.feedback.v1"] = "shopfloor.feedback.v1"
    data: FeedbackData


class BirthEvent(EnvelopeFields):
    """``shopfloor.birth.v1``"""

    type: Literal["shopfloor.birth.v1"] = "shopfloor.birth.v1"
    data: BirthData


class DeathEvent(EnvelopeFields):
    """``shopfloor.death.v1``"""

    type: Literal["shopfloor.death.v1"] = "shopfloor.death.v1"
    data: DeathData


class HeartbeatEvent(EnvelopeFields):
    """``shopfloor.heartbeat.v1``"""

    type: Literal["shopfloor.heartbeat.v1"] = "shopfloor.heartbeat.v1"
    data: HeartbeatData


Event = Annotated[
    TrafficEvent
    | OccupancyEvent
    | DwellEvent
    | QueueEvent
    | HeatEvent
    | ShelfEvent
    | InspectionEvent
    | SensorEvent
    | AlertEvent
    | FeedbackEvent
    | BirthEvent
    | DeathEvent
    | HeartbeatEvent,
    Field(discriminator="type"),
]
EventData = (
    TrafficData
    | OccupancyData
    | DwellData
    | QueueData
    | HeatData
    | ShelfData
    | InspectionData
    | SensorData
    | AlertData
    | FeedbackData
    | BirthData
    | DeathData
    | HeartbeatData
)
EVENT_ADAPTER: TypeAdapter[Event] = TypeAdapter(Event)
EVENTS_ADAPTER: TypeAdapter[list[Event]] = TypeAdapter(list[Event])

EVENT_OF_KIND: dict[Kind, Any] = {
    Kind(event.model_fields["type"].default.split(".")[1]): event
    for event in get_args(get_args(Event)[0])
}
_KIND_OF_DATA: dict[type, Kind] = {
    event.model_fields["data"].annotation: kind for kind, event in EVENT_OF_KIND.items()
}


def kind_of(data: EventData) -> Kind:
    """Return the kind of event that carries ``data``."""
    return _KIND_OF_DATA[type(data)]


def data_of(kind: Kind, payload: str) -> EventData:
    """Read an event's ``data`` as its kind writes it. Raises ``ValueError``: it is not that."""
    data: EventData = (
        EVENT_OF_KIND[kind].model_fields["data"].annotation.model_validate_json(payload)
    )
    return data


def event_id(stream: uuid.UUID, kind: Kind, seq: int) -> uuid.UUID:
    """Return the same id for the same sequence of a stream, however often it is sent.

    A stream is one device's outbox or boot, and unique by itself (UUIDv4).
    """
    return uuid.UUID(event_id_text(str(stream), kind.value, seq))


def source_of(site: str, device: str, camera: str | None = None) -> str:
    """Return the CloudEvents ``source``: ``/sites/<site>/devices/<device>[/cameras/<camera>]``."""
    root = f"/sites/{site}/devices/{device}"
    return root if camera is None else f"{root}/cameras/{camera}"


def build_event(
    data: EventData,
    *,
    source: str,
    time: datetime,
    stream: uuid.UUID,
    seq: int,
    prevseq: int | None = None,
) -> Event:
    """Wrap ``data`` in its envelope."""
    kind = kind_of(data)
    event: Event = EVENT_OF_KIND[kind](
        id=event_id(stream, kind, seq),
        source=source,
        time=time,
        stream=stream,
        seq=seq,
        prevseq=prevseq,
        data=data,
    )
    return event


def encode(event: Event) -> bytes:
    """Return the event as structured CloudEvents JSON, without absent attributes."""
    return event.model_dump_json(exclude_none=True).encode()


def parse_event(payload: bytes) -> Event:
    """Read one structured CloudEvent.

    Raises:
        EventRejectedError: too large, not JSON, of an unknown type, or against the schema.
    """
    if len(payload) > MAX_EVENT_BYTES:
        raise EventRejectedError("too-large", f"{len(payload)} bytes, limit {MAX_EVENT_BYTES}")
    try:
        # Strict, as the schema is: a lax reader takes true for 1 and guesses the unit of an epoch.
        return EVENT_ADAPTER.validate_json(payload, strict=True)
    except ValidationError as e:
        first = e.errors(include_url=False, include_input=False)[0]
        reason = {
            "json_invalid": "not-json",
            "union_tag_invalid": "unknown-type",
            "union_tag_not_found": "unknown-type",
        }.get(first["type"], "schema")
        where = ".".join(str(part) for part in first["loc"])
        # The message may quote the sender: one short line of it is enough for a log.
        detail = " ".join(f"{where}: {first['msg']}".split())
        raise EventRejectedError(reason, detail[:_MAX_DETAIL_CHARS]) from e
