"""Many events in one message: a CloudEvents JSON batch, compressed with a dictionary we ship.

A payload is ``SFB1``, eight bytes that name the dictionary, and one zstd frame. The frame holds a
JSON array of events from which the reader can make ``id`` again (``events.event_id``), and from
which a ``prevseq`` that is ``seq - 1`` is absent; with the ids put back it is the JSON batch of
CloudEvents 1.0. What is inside is judged event by event, as if each had come alone.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources

import zstandard
from pydantic import ValidationError
from pydantic_core import from_json

from shopfloor_contracts.base import SLUG_PATTERN
from shopfloor_contracts.errors import EventRejectedError
from shopfloor_contracts.events import (
    DURABLE_KINDS,
    EVENTS_ADAPTER,
    MAX_EVENT_BYTES,
    Event,
    Kind,
    event_id,
    kind_of,
)
from shopfloor_contracts.identity import event_id_text
from shopfloor_contracts.topics import ROOT

BATCH = "batch"
"""Last level of the topic; no kind of event is named so."""
MAX_BATCH_EVENTS = 500
MAX_BATCH_BYTES = 128 * 1024
"""Compressed. A larger message is refused unread, as a single event of that size is."""
MAX_RAW_BYTES = 1024 * 1024
"""Decompressed. A writer closes a batch at ``FULL_RAW_BYTES``: that compresses below the limit."""
FULL_RAW_BYTES = 256 * 1024
_MAGIC = b"SFB1"
_NAME_BYTES = 8
_HEAD_BYTES = len(_MAGIC) + _NAME_BYTES
_LEVEL = 19
"""A minute of 16 cameras packs in some 10 ms, once a minute: size is worth more than time here."""
_TYPE = re.compile(r"shopfloor\.([a-z]{1,20})\.v\d{1,3}")
_HEAD = re.compile(
    rb'\{"specversion":"1\.0","source":"[^"\\]*","time":"[^"\\]*",'
    rb'"stream":"([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})",'
    rb'"seq":(\d{1,10})(?:,"prevseq":\d{1,10})?,"type":"shopfloor\.([a-z]{1,20})\.v1",'
)
"""An event's beginning as ``slim`` writes it."""
_SLUG = SLUG_PATTERN.strip("^$")
_TOPIC = re.compile(rf"(?P<root>{ROOT}/{_SLUG}/{_SLUG})/{BATCH}")
_RIDERS = frozenset({*DURABLE_KINDS, Kind.HEARTBEAT})
"""Kinds that may be in a batch: birth and death are retained by the broker, each alone."""


@dataclass(frozen=True, slots=True)
class Part:
    """One event of a batch, as the message that it would have been by itself."""

    topic: str
    payload: bytes


@functools.cache
def shipped_dictionaries() -> dict[bytes, zstandard.ZstdCompressionDict]:
    """Return every dictionary that this version reads, by name; the last is written with."""
    folder = resources.files("shopfloor_contracts") / "dictionaries"
    contents = [
        path.read_bytes()
        for path in sorted(folder.iterdir(), key=lambda path: path.name)
        if path.name.endswith(".zdict")
    ]
    return {
        dictionary_name(content): zstandard.ZstdCompressionDict(content) for content in contents
    }


def dictionary_name(content: bytes) -> bytes:
    """Return the first bytes of the SHA-256, as a message names its dictionary."""
    return hashlib.sha256(content).digest()[:_NAME_BYTES]


def batch_topic(site: str, device: str) -> str:
    """Return the topic of a device's batches."""
    return f"{ROOT}/{site}/{device}/{BATCH}"


def is_batch(topic: str) -> bool:
    """Return whether a message on ``topic`` is a batch."""
    return _TOPIC.fullmatch(topic) is not None


def slim(event: Event) -> bytes:
    """Return the event's JSON without what the reader can make again."""
    chained = event.prevseq == event.seq - 1
    left_out = {"id", "prevseq"} if chained else {"id"}
    return event.model_dump_json(exclude_none=True, exclude=left_out).encode()


def pack(events: Sequence[Event]) -> bytes:
    """Return the events as one message.

    Args:
        events: at most ``MAX_BATCH_EVENTS``, their JSON below ``MAX_RAW_BYTES``.
    """
    return pack_slim([slim(event) for event in events])


def pack_slim(parts: Sequence[bytes]) -> bytes:
    """Return events that ``slim`` has made as one message."""
    name, dictionary = list(shipped_dictionaries().items())[-1]
    compressor = zstandard.ZstdCompressor(
        level=_LEVEL, dict_data=dictionary, write_content_size=True, write_dict_id=False
    )
    return _MAGIC + name + compressor.compress(b"[" + b",".join(parts) + b"]")


def unpack(topic: str, payload: bytes) -> list[Part]:
    """Read a batch; what is wrong with one event is found when that event is parsed.

    Raises:
        EventRejectedError: the batch as a whole cannot be believed.
    """
    found = _TOPIC.fullmatch(topic)
    if found is None:
        raise EventRejectedError("topic", f"{topic[:100]!r} is not {ROOT}/<site>/<device>/{BATCH}")
    if len(payload) > MAX_BATCH_BYTES:
        raise EventRejectedError("too-large", f"{len(payload)} bytes, limit {MAX_BATCH_BYTES}")
    events = _parsed(_decompressed(payload))
    streams = {event.get("stream") for event in events if _kind_of(event) in DURABLE_KINDS}
    if len({str(stream) for stream in streams}) > 1:
        raise EventRejectedError("batch", f"events of {len(streams)} outboxes, expected one")
    return [Part(f"{found['root']}/{_kind_of(event)}", _whole(event)) for event in events]


def read_events(topic: str, payload: bytes) -> list[Event] | None:
    """Return the events of a batch that is just as a device writes it, each with its id.

    All of them are parsed in one go, at a fraction of what ``unpack`` and ``parse_event`` cost.
    None: something is unusual or wrong with the batch or an event, and ``unpack`` says what.
    """
    if _TOPIC.fullmatch(topic) is None or len(payload) > MAX_BATCH_BYTES:
        return None
    try:
        raw = _decompressed(payload)
    except EventRejectedError:
        return None
    # A second "id", however it is spelt, could overrule the one that is put in.
    if len(raw) > MAX_EVENT_BYTES or b'"id"' in raw or b"\\u" in raw:
        return None
    heads: list[tuple[str, str, int]] = []

    def put_id(head: re.Match[bytes]) -> bytes:
        stream, seq, kind = head[1].decode(), int(head[2]), head[3].decode()
        heads.append((stream, kind, seq))
        return b'{"id":"%b",%b' % (event_id_text(stream, kind, seq).encode(), head[0][1:])

    try:
        events = EVENTS_ADAPTER.validate_json(_HEAD.sub(put_id, raw), strict=True)
    except ValidationError:
        return None
    return events if _are_theirs(heads, events) else None


def _are_theirs(heads: list[tuple[str, str, int]], events: list[Event]) -> bool:
    """Return whether each id was made from what its event really says, and all may be together.

    What looks like the head of an event may lie in a field that is passed over, or be overruled
    by a second field of the same name.
    """
    if not 1 <= len(events) <= MAX_BATCH_EVENTS or len(events) != len(heads):
        return False
    streams = {stream: uuid.UUID(stream) for stream in {head[0] for head in heads}}
    outboxes = set()
    for (stream, kind, seq), event in zip(heads, events, strict=True):
        found = kind_of(event.data)
        if event.seq != seq or event.stream != streams[stream] or found != kind:
            return False
        if found not in _RIDERS:
            return False
        if found in DURABLE_KINDS:
            outboxes.add(stream)
    return len(outboxes) <= 1


def _decompressed(payload: bytes) -> bytes:
    if payload[: len(_MAGIC)] != _MAGIC or len(payload) <= _HEAD_BYTES:
        raise EventRejectedError("batch", f"begins with {payload[:4]!r}, expected {_MAGIC!r}")
    name, frame = payload[len(_MAGIC) : _HEAD_BYTES], payload[_HEAD_BYTES:]
    dictionary = shipped_dictionaries().get(name)
    if dictionary is None:
        raise EventRejectedError("unknown-dictionary", f"dictionary {name.hex()} is not known here")
    decompressor = zstandard.ZstdDecompressor(
        dict_data=dictionary, max_window_size=2 * MAX_RAW_BYTES
    )
    try:
        declared = zstandard.frame_content_size(frame)
        if declared < 0 or declared > MAX_RAW_BYTES:
            raise EventRejectedError("too-large", f"declares {declared} bytes, {MAX_RAW_BYTES} max")
        # The declared size may be a lie: no more than the limit is ever decompressed.
        reader = decompressor.stream_reader(frame)
        raw = reader.read(MAX_RAW_BYTES + 1)
    except zstandard.ZstdError as e:
        raise EventRejectedError("batch", f"not a zstd frame: {str(e)[:100]}") from e
    if len(raw) > MAX_RAW_BYTES:
        raise EventRejectedError("too-large", f"more than {MAX_RAW_BYTES} bytes decompressed")
    if len(raw) != declared:
        raise EventRejectedError("batch", f"{len(raw)} bytes inside, {declared} declared")
    return raw


def _parsed(raw: bytes) -> list[dict[str, object]]:
    try:
        events = from_json(raw, allow_inf_nan=False)
    except ValueError as e:
        raise EventRejectedError("not-json", f"batch: {str(e)[:100]}") from e
    if not isinstance(events, list) or not 1 <= len(events) <= MAX_BATCH_EVENTS:
        size = len(events) if isinstance(events, list) else type(events).__name__
        raise EventRejectedError("batch", f"holds {size}, expected 1 to {MAX_BATCH_EVENTS} events")
    for event in events:
        if not isinstance(event, dict):
            raise EventRejectedError("batch", f"holds a {type(event).__name__}, expected events")
        kind = _kind_of(event)
        if kind == BATCH or (kind in set(Kind) and kind not in _RIDERS):
            raise EventRejectedError("batch", f"holds a {kind}, which comes alone")
    return events


def _kind_of(event: dict[str, object]) -> str:
    """Return the kind that the event's type names; "unknown" when it names none."""
    found = _TYPE.fullmatch(str(event.get("type")))
    return found[1] if found else "unknown"


def _whole(event: dict[str, object]) -> bytes:
    """Put the id back, where there is enough to make it from."""
    kind, stream, seq = _kind_of(event), event.get("stream"), event.get("seq")
    if kind in set(Kind) and isinstance(stream, str) and type(seq) is int and "id" not in event:
        # A stream that is none is for the event's own schema to refuse.
        with contextlib.suppress(ValueError):
            event = {"id": str(event_id(uuid.UUID(stream), Kind(kind), seq)), **event}
    return json.dumps(event, separators=(",", ":"), ensure_ascii=False).encode(
        "utf-8", "surrogatepass"
    )
