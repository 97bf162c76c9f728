"""Messages on disk: today's reader understands them, today's writer makes the same bytes."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from shopfloor_contracts.acks import Ack
from shopfloor_contracts.events import (
    BirthData,
    CameraHealth,
    CameraStatus,
    DeathData,
    Event,
    EventData,
    HeartbeatData,
    Kind,
    LineCount,
    OccupancyData,
    TrafficData,
    ZoneOccupancy,
    build_event,
    encode,
    kind_of,
    parse_event,
    source_of,
)

GOLDEN = Path(__file__).parent / "golden"
OUTBOX = uuid.UUID("6f1b0c1e-8f53-4a5e-9d61-0d6f7c1b2a3c")
BOOT = uuid.UUID("0b7a1c55-52de-4f0e-8c39-9a2f5a4f7d10")
NOON = datetime(2026, 11, 2, 12, 0, tzinfo=UTC)
WINDOW = {
    "window_start": NOON,
    "window_s": 60.0,
    "coverage_ratio": 0.985,
    "frames": 591,
    "model_digest": "c789161ed43c8269fcd4e67c67eeeb4e80c622da2eb296a20bc6007bd18a0b7d",
    "zone_version": "3f9a0c12be47",
}
ACK = Ack(stream=OUTBOX, up_to=42)


def event(data: EventData, *, camera: str | None, seq: int, prevseq: int | None = None) -> Event:
    return build_event(
        data,
        source=source_of("store-17", "till-1", camera),
        time=NOON + timedelta(seconds=61, milliseconds=250),
        stream=OUTBOX if camera else BOOT,
        seq=seq,
        prevseq=prevseq,
    )


EVENTS = {
    # prevseq 39: the device has dropped its event 40.
    Kind.TRAFFIC: event(
        TrafficData(
            **WINDOW,
            lines=[
                LineCount(line="entrance", crossings_in=12, crossings_out=9),
                LineCount(line="till-row", crossings_in=0, crossings_out=4),
            ],
        ),
        camera="door",
        seq=41,
        prevseq=39,
    ),
    Kind.OCCUPANCY: event(
        OccupancyData(
            **WINDOW,
            zones=[
                ZoneOccupancy(
                    zone="hall",
                    people_s=131.5,
                    observed_s=59.1,
                    people_max=5,
                    histogram_s=[4.0, 15.1, 20.0, 16.0, 4.0, 0.0, 0.0, 0.0],
                )
            ],
        ),
        camera="door",
        seq=42,
        prevseq=41,
    ),
    Kind.BIRTH: event(
        BirthData(
            boot_id=BOOT,
            stream=OUTBOX,
            next_seq=43,
            software="shopfloor-edge 0.1.0",
            cameras=["door", "shelf-3"],
        ),
        camera=None,
        seq=0,
    ),
    Kind.HEARTBEAT: event(
        HeartbeatData(
            boot_id=BOOT,
            uptime_s=3600.5,
            outbox_rows=2,
            outbox_bytes=1048,
            outbox_dropped=1,
            outbox_write_failures=0,
            cameras=[
                CameraHealth(camera="door", status=CameraStatus.LIVE, fps=9.85),
                CameraHealth(
                    camera="shelf-3",
                    status=CameraStatus.STALLED,
                    fps=0.0,
                    reason="no frame for 3 s (Tür 2)",
                ),
            ],
        ),
        camera=None,
        seq=1,
    ),
    Kind.DEATH: event(DeathData(boot_id=BOOT, reason="connection-lost"), camera=None, seq=2),
}


@pytest.mark.parametrize("kind", Kind)
def test_todays_reader_understands_the_golden_event(kind):
    assert parse_event((GOLDEN / f"{kind}.json").read_bytes()) == EVENTS[kind]


@pytest.mark.parametrize("kind", Kind)
def test_todays_writer_makes_the_golden_bytes(kind):
    assert encode(EVENTS[kind]) == (GOLDEN / f"{kind}.json").read_bytes()


@pytest.mark.parametrize("kind", Kind)
def test_a_reader_ignores_what_a_newer_writer_adds_anywhere(kind):
    newer = with_more(json.loads((GOLDEN / f"{kind}.json").read_bytes()))

    assert parse_event(json.dumps(newer).encode()) == EVENTS[kind]


def with_more(node: object) -> object:
    """Add a field of the future to every object."""
    if isinstance(node, list):
        return [with_more(item) for item in node]
    if isinstance(node, dict):
        return {**{k: with_more(v) for k, v in node.items()}, "added-later": {"deep": [1, None]}}
    return node


def test_the_golden_acknowledgement_is_read_and_written_the_same():
    golden = (GOLDEN / "ack.json").read_bytes()

    assert Ack.model_validate_json(golden) == ACK
    assert ACK.model_dump_json().encode() == golden


def test_every_golden_file_is_tested():
    names = {path.stem for path in GOLDEN.glob("*.json")}

    assert names == {*Kind, "ack"}
    assert all(kind_of(EVENTS[kind].data) is kind for kind in Kind)
