"""Which message is believed, and which one is parked. Pure."""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass
from datetime import datetime

from shopfloor_contracts.base import SLUG_PATTERN
from shopfloor_contracts.batches import is_batch, read_events, unpack
from shopfloor_contracts.errors import EventRejectedError
from shopfloor_contracts.events import (
    DURABLE_KINDS,
    EnvelopeFields,
    Event,
    encode,
    event_id,
    kind_of,
    parse_event,
    source_of,
)
from shopfloor_contracts.identity import event_id_text
from shopfloor_contracts.topics import EventTopic, parse_topic

_SLUG = re.compile(SLUG_PATTERN)


@dataclass(frozen=True, slots=True)
class Message:
    """What the broker handed over."""

    topic: str
    payload: bytes
    received_at: datetime


@dataclass(frozen=True, slots=True)
class StreamKey:
    """One outbox of one device."""

    site: str
    device: str
    stream: uuid.UUID


@dataclass(frozen=True, slots=True)
class Accepted:
    """An event whose sender is who it says. ``camera`` is empty for the device itself."""

    message: Message
    topic: EventTopic
    event: Event
    camera: str

    @property
    def alone(self) -> Message:
        """The event as the message that it would have been by itself."""
        if not is_batch(self.message.topic):
            return self.message
        return Message(str(self.topic), encode(self.event), self.message.received_at)

    @property
    def durable(self) -> bool:
        """Whether it came through the outbox and is waited for by the device."""
        return self.topic.kind in DURABLE_KINDS

    @property
    def key(self) -> StreamKey:
        """The stream that it belongs to."""
        return StreamKey(self.topic.site, self.topic.device, self.event.stream)


@dataclass(frozen=True, slots=True)
class Settled:
    """Place in an outbox of an event that no redelivery can mend."""

    key: StreamKey
    seq: int
    prevseq: int | None


@dataclass(frozen=True, slots=True)
class Rejected:
    """A message that is parked. ``settled`` is set when the device may forget the event."""

    message: Message
    reason: str
    detail: str
    settled: Settled | None = None


def judge_all(message: Message) -> list[Accepted | Rejected]:
    """Decide on a message, or on each event of a batch as if it had come alone. Never raises."""
    if not is_batch(message.topic):
        return [judge(message)]
    events = read_events(message.topic, message.payload)
    if events is not None:
        return _judge_events(message, events)
    try:
        parts = unpack(message.topic, message.payload)
    except EventRejectedError as e:
        # Nothing in it is settled: the device sends its events again, each alone.
        return [Rejected(message, e.reason, e.detail)]
    return [judge(Message(part.topic, part.payload, message.received_at)) for part in parts]


def _judge_events(message: Message, events: list[Event]) -> list[Accepted | Rejected]:
    """Decide on the events of a batch whose ids were made here."""
    _, _, site, device, _ = message.topic.split("/")
    topics = {kind: EventTopic(site, device, kind) for kind in {kind_of(e.data) for e in events}}
    judged: list[Accepted | Rejected] = []
    for event in events:
        topic = topics[kind_of(event.data)]
        try:
            judged.append(Accepted(message, topic, event, _checked_source(topic, event)))
        except EventRejectedError as e:
            alone = Message(str(topic), encode(event), message.received_at)
            judged.append(Rejected(alone, e.reason, e.detail))
    return judged


def judge(message: Message) -> Accepted | Rejected:
    """Decide whether a message is believed. Never raises."""
    try:
        topic = parse_topic(message.topic)
    except EventRejectedError as e:
        return Rejected(message, e.reason, e.detail)
    try:
        event = parse_event(message.payload)
        return Accepted(message, topic, event, _checked_camera(topic, event))
    except EventRejectedError as e:
        # A malformed event stays malformed: were it waited for, it would block its device's
        # outbox. An unknown type is waited for: the next version of ingest may know it.
        final = e.reason in ("schema", "too-large")
        return Rejected(message, e.reason, e.detail, _place(message, topic) if final else None)


def _checked_camera(topic: EventTopic, event: Event) -> str:
    """Return the camera of ``event``, or raise: the topic is what the broker has checked."""
    kind = kind_of(event.data)
    if kind is not topic.kind:
        raise EventRejectedError("identity", f"type says {kind}, topic says {topic.kind}")
    camera = _checked_source(topic, event)
    if str(event.id) != event_id_text(str(event.stream), kind.value, event.seq):
        raise EventRejectedError("identity", f"id {event.id} is not that of its stream and seq")
    return camera


def _checked_source(topic: EventTopic, event: Event) -> str:
    kind, root = topic.kind, source_of(topic.site, topic.device)
    if event.source != root and not event.source.startswith(f"{root}/"):
        raise EventRejectedError("identity", f"source is {event.source!r}, topic says {root!r}")
    camera = event.source.removeprefix(root).removeprefix("/cameras/")
    if kind not in DURABLE_KINDS:
        return camera if _SLUG.fullmatch(camera) else ""
    if not _SLUG.fullmatch(camera):
        raise EventRejectedError("identity", f"source {event.source!r} names no camera")
    if event.seq == 0:
        # An acknowledgement of 0 means "nothing yet", so 0 cannot be an event.
        raise EventRejectedError("sequence", "seq is 0, an outbox counts from 1")
    return camera


def _place(message: Message, topic: EventTopic) -> Settled | None:
    """Return where a malformed event stood, if its envelope can be read and believed."""
    try:
        envelope = EnvelopeFields.model_validate_json(message.payload, strict=True)
    except ValueError:
        return None
    root = source_of(topic.site, topic.device)
    ours = envelope.source == root or envelope.source.startswith(f"{root}/")
    named = envelope.id == event_id(envelope.stream, topic.kind, envelope.seq)
    if topic.kind not in DURABLE_KINDS or not ours or not named or envelope.seq == 0:
        return None
    key = StreamKey(topic.site, topic.device, envelope.stream)
    return Settled(key, envelope.seq, envelope.prevseq)
